-- Validates a config where it can be compiled: here with PL/Python, otherwise from the programs
-- that came with it under _compiled. Returns {errors, warnings, code, programs}; code is null for
-- a valid config. Sizes are bounded first, because PL/Python cannot be interrupted.
create or replace function ducto.check_pricing(p_config jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_compiler regproc := to_regproc('ducto.compile_pricing');
    v_config jsonb;
    v_programs jsonb;
    v_errors jsonb;
    v_result jsonb;
begin
    if jsonb_typeof(p_config) is distinct from 'object' then
        return ducto.one_config_error('', 'a pricing config must be an object with the key models');
    end if;
    v_config := p_config - '_compiled';
    v_programs := p_config -> '_compiled';
    if octet_length(v_config::text) > 4194304 then
        return ducto.one_config_error('', 'a pricing config has at most 4 MB');
    elsif v_compiler is not null then
        execute format('select %s($1)', v_compiler) into v_result using v_config;
        return v_result || ducto.refuse_programs(v_result -> 'programs', v_config);
    elsif v_programs is null then
        return ducto.one_config_error('_compiled', 'this server cannot compile expressions')
            || jsonb_build_object(
                'message', 'This server cannot compile pricing expressions: it has no PL/Python.',
                'hint', 'Publish with `ducto pricing set FILE` or the Python package ducto_pg, '
                'which compile the expressions and send the programs along.'
            );
    elsif jsonb_typeof(v_programs) <> 'object' or octet_length(v_programs::text) > 67108864 then
        return ducto.one_config_error(
            '_compiled', 'the programs must be an object by expression, of at most 64 MB'
        );
    end if;
    v_errors := ducto.check_config(v_config);
    v_result := case when v_errors = '[]' then ducto.check_programs(v_config, v_programs)
        else jsonb_build_object('errors', v_errors, 'warnings', '[]'::jsonb) end;
    return v_result || jsonb_build_object('programs', v_programs, 'code', case
        when v_result -> 'errors' = '[]' then null
        when v_result -> 'errors' @? '$[*] ? (@.code != "DU005")' then 'DU006'
        else 'DU005' end);
end
$$;
comment on function ducto.check_pricing(jsonb) is
    'Errors, warnings and programs of a pricing config.';

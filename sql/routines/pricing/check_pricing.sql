-- Validates a config and compiles its expressions: with PL/Python where it is, otherwise in
-- PL/pgSQL, with the same outcome: {errors, count, warnings, code, programs}; code is null for a
-- valid config. Size and depth are bounded first, because PL/Python cannot be interrupted. What is
-- left to do is many small calls, which compiling the queries to machine code would only delay.
create or replace function ducto.check_pricing(p_config jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    v_compiler regproc := to_regproc('ducto.compile_plpython');
    v_result jsonb;
begin
    if jsonb_typeof(p_config) = 'object' and octet_length(p_config::text) > 4194304 then
        return ducto.one_config_error('', 'a pricing config has at most 4 MB');
    elsif p_config @? '$.**{64}' then
        return ducto.one_config_error('', 'a pricing config is nested at most 64 deep');
    elsif v_compiler is null then
        return ducto.compile_portable(p_config);
    end if;
    execute format('select %s($1)', v_compiler) into v_result using coalesce(p_config, 'null');
    return v_result;
end
$$;
comment on function ducto.check_pricing(jsonb) is
    'Errors, warnings and programs of a pricing config.';

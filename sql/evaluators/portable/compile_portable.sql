-- Validates a config and compiles its expressions without PL/Python: {errors, count, warnings,
-- code, programs}, as ducto.compile_plpython returns it. It is plpython/config.py again, refusal
-- for refusal: the same paths, messages, order and nearest names.
--
--   ducto.compile_rates     compiles and proves each expression's text once
--   ducto.config_errors     finds every error, in order: ducto.key_errors, .metric_errors,
--                           .setting_errors (with .value_errors, .policy_errors), .section_rates,
--                           .plans_errors (with .plan_errors, .plan_rates)
--   ducto.rate_warnings     finds the prices that are worth a warning
--
-- The first hundred of each are listed, the rest is counted; what takes long, such as looking for
-- the nearest known name, is done for what is listed only.
create or replace function ducto.compile_portable(p_config jsonb)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    v_names text[] := ducto.config_metrics(p_config);
    v_expressions bigint;
    v_outcomes jsonb := '{}'::jsonb;
    v_errors jsonb;
    v_found bigint;
    v_code text;
begin
    if jsonb_typeof(p_config) is distinct from 'object' then
        return ducto.one_config_error(
            '', 'a pricing config must be an object with the key ''models'''
        );
    end if;
    select count(*) into v_expressions
    from ducto.config_rates(p_config) r where r.key is not null;
    if v_expressions <= 20000 then
        v_outcomes := ducto.compile_rates(p_config, v_names);
    end if;
    select count(*),
        case when bool_or(e.refusal is null) then 'DU006' when count(*) > 0 then 'DU005' end,
        coalesce(jsonb_agg(
            case when e.refusal is null then jsonb_build_object(
                'path', e.path, 'code', 'DU006', 'message', concat(
                    e.message, '; did you mean ''' || ducto.nearest(e.name, e.known) || '''?'
                )
            ) else jsonb_build_object('path', e.path, 'code', 'DU005')
                || ducto.refusal_detail(e.refusal, v_names) end
            order by e.ordinality
        ) filter (where e.ordinality <= 100), '[]')
    into v_found, v_code, v_errors
    from ducto.config_errors(p_config, v_expressions, v_outcomes) with ordinality e;
    if v_found > 100 then
        v_errors := v_errors || jsonb_build_object(
            'path', '', 'code', v_code,
            'message', format('%s further errors are not listed', v_found - 100)
        );
    end if;
    return jsonb_build_object(
        'errors', v_errors,
        'count', v_found,
        'code', v_code,
        'warnings', (
            select coalesce(jsonb_agg(w.warning order by w.ordinality)
                filter (where w.ordinality <= 100), '[]')
                || case when count(*) > 100 then jsonb_build_object(
                    'path', '', 'code', 'more_warnings',
                    'message', format('%s further warnings are not listed', count(*) - 100)
                ) else '[]' end
            from ducto.rate_warnings(p_config, v_outcomes) with ordinality w
        ),
        'programs', case when v_code is null then (
            select coalesce(jsonb_object_agg(o.key, o.value -> 'program'), '{}')
            from jsonb_each(v_outcomes) o
        ) else '{}' end
    );
end
$$;
comment on function ducto.compile_portable(jsonb) is
    'Errors, warnings and compiled programs of a pricing config.';

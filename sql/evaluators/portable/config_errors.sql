-- Every error of a config, in the order in which plpython/config.py finds them. `p_outcomes` says
-- of each expression's text what compiling and proving it gave (ducto.compile_rates). Rows as those
-- of ducto.key_errors; one about an expression has instead of a message what was refused.
create or replace function ducto.config_errors(
    p_config jsonb,
    p_expressions bigint,
    p_outcomes jsonb
)
returns table (path text, message text, name text, known text[], refusal jsonb)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kinds constant text[] := '{
        version,version, description,text, models,"", tools,"", search,"", cache,"", fixed,"",
        min_balance,money, plans,"", metrics,"", scale,scale,
        rounding,half_up|half_even|ceiling, low_balance_thresholds,thresholds,
        signup_bonus,positive
    }'::text[];
begin
    return query select e.*, null::jsonb from ducto.key_errors('', p_config, v_kinds) e;
    if p_expressions > 20000 then
        return query select '',
            format('the config has %s expressions, more than 20000', p_expressions),
            null::text, null::text[], null::jsonb;
        return;
    end if;
    if p_config ? 'metrics' then
        return query select m.path, m.message, null::text, null::text[], null::jsonb
            from ducto.metric_errors(p_config -> 'metrics') m;
    end if;
    if not p_config ? 'models' then
        return query select 'models', 'the key ''models'' is missing', null::text, null::text[],
            null::jsonb;
    end if;
    return query select e.*, null::jsonb from ducto.setting_errors('', p_config, v_kinds) e;
    return query
        select r.path, r.problem, null::text, null::text[], ducto.rate_refusal(
            r.plan_key, r.section, r.key, r.expression, p_outcomes
        )
        from ducto.config_rates(p_config - 'plans') r
        where r.problem is not null or p_outcomes -> r.expression ? 'refusal';
    if p_config -> 'models' = '{}' then
        return query select 'models', '''models'' must have at least one model', null::text,
            null::text[], null::jsonb;
    end if;
    if p_config ? 'plans' then
        return query select e.* from ducto.plans_errors(p_config, p_outcomes) e;
    end if;
end
$$;
comment on function ducto.config_errors(jsonb, bigint, jsonb) is
    'What is wrong with a pricing config.';

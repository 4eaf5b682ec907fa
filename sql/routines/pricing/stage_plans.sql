-- Writes the plans of a valid config as rows of a version.
create or replace function ducto.stage_plans(p_version integer, p_config jsonb)
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    insert into ducto.credit_plans (
        version, plan_key, name, free_allowance, period, period_anchor, rollover_max, features,
        billing_mode, overdraft_floor, max_concurrent, per_operation, is_default, position
    )
    select
        p_version, p.plan_key,
        coalesce(p.plan ->> 'name', p.plan_key),
        coalesce((p.plan -> 'free_allowance')::numeric, 0),
        coalesce(p.plan ->> 'period', 'monthly'),
        coalesce(p.plan ->> 'period_anchor', 'calendar'),
        coalesce((p.plan -> 'rollover_max')::numeric, 0),
        case jsonb_typeof(p.plan -> 'features')
            when 'array' then (
                select coalesce(jsonb_object_agg(f.name, true), '{}')
                from jsonb_array_elements_text(p.plan -> 'features') f(name)
            )
            else coalesce(p.plan -> 'features', '{}') end,
        coalesce(p.plan ->> 'default_billing_mode', 'strict'),
        (nullif(p.plan -> 'overdraft_floor', 'null'))::numeric,
        (nullif(p.plan -> 'max_concurrent', 'null'))::integer,
        coalesce(p.plan -> 'per_operation', '{}'),
        coalesce((p.plan -> 'default')::boolean, false),
        p.place
    from ducto.config_plans(p_config) p;
$$;
comment on function ducto.stage_plans(integer, jsonb) is
    'Writes the plans of a valid pricing config as rows of a version.';

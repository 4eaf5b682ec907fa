-- What is wrong with the plans of a config.
create or replace function ducto.plan_problems(p_config jsonb)
returns table (path text, message text)
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        select s.path, s.message
        from ducto.config_plans(p_config) p
        cross join lateral ducto.setting_problems(p.path, p.plan, '{
            "id": "name", "name": "name", "free_allowance": "positive", "rate_overrides": "rates",
            "features": "features", "default_billing_mode": "strict|overdraft",
            "overdraft_floor": "floor", "max_concurrent": "count", "per_operation": "object",
            "period": "daily|weekly|monthly|yearly", "period_anchor": "calendar|account",
            "rollover_max": "positive", "default": "boolean"
        }') s;
    return query
        select s.path, s.message
        from ducto.config_plans(p_config) p
        cross join lateral jsonb_each(
            case when jsonb_typeof(p.plan -> 'per_operation') = 'object'
                then p.plan -> 'per_operation' else '{}' end
        ) o
        cross join lateral ducto.setting_problems(
            format('%s.per_operation.%s', p.path, o.key), o.value, '{
                "billing_mode": "strict|overdraft", "overdraft_floor": "floor",
                "max_concurrent": "count", "required_feature": "name"
            }'
        ) s;
    return query
        select min(p.path) || '.id', format(
            case when count(*) > 1 then 'two plans have the id ''%s'''
                else 'a plan needs an id of 1 to 200 characters, the one it is under: ''%s''' end,
            left(p.plan_key, 200)
        )
        from ducto.config_plans(p_config) p
        group by p.plan_key
        having count(*) > 1 or coalesce(length(p.plan_key), 0) not between 1 and 200
            or bool_or(p.plan ->> 'id' <> p.plan_key);
    return query
        select max(p.path) || '.default', 'only one plan can be the default plan'
        from ducto.config_plans(p_config) p
        where p.plan -> 'default' = 'true'
        having count(*) > 1;
end
$$;
comment on function ducto.plan_problems(jsonb) is
    'What is wrong with the plans of a pricing config: path and message.';

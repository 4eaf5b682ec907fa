-- Every value of a config with its path, as errors write it; plans by their id, whichever way they
-- were given, so that moving a plan in a list is no change.
create or replace function ducto.config_leaves(p_config jsonb)
returns table (path text, value jsonb)
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with recursive nodes as (
        select '' as path, case when p_config ? 'plans' then jsonb_set(p_config, '{plans}', (
            select coalesce(jsonb_object_agg(p.plan_key, p.plan - 'id'), '{}')
            from ducto.config_plans(p_config) p
        )) else p_config end as value
        union all
        select c.path, c.value
        from nodes n
        cross join lateral (
            select case when n.path = '' then e.key else n.path || '.' || e.key end, e.value
            from jsonb_each(case when jsonb_typeof(n.value) = 'object' then n.value else '{}' end) e
            union all
            select format('%s[%s]', n.path, a.place - 1), a.value
            from jsonb_array_elements(
                case when jsonb_typeof(n.value) = 'array' then n.value else '[]' end
            ) with ordinality a(value, place)
        ) c(path, value)
    )
    select n.path, n.value
    from nodes n
    where jsonb_typeof(n.value) not in ('object', 'array') or n.value in ('{}', '[]');
$$;
comment on function ducto.config_leaves(jsonb) is
    'Every value of a pricing config with its path.';

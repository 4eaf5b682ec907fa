-- The expressions of a config: the base's, and the plans' overrides (models with their expressions,
-- or sections of them). A number is the expression of that number.
create or replace function ducto.config_rates(p_config jsonb)
returns table (path text, plan_key text, section text, key text, expression text)
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with overrides as (
        select p.plan_key, p.path || '.rate_overrides' as path,
            p.plan -> 'rate_overrides' as rates,
            (
                select bool_and(
                    o.key in ('models', 'tools', 'search', 'cache', 'fixed')
                    and jsonb_typeof(o.value) = 'object'
                )
                from jsonb_each(p.plan -> 'rate_overrides') o
            ) as by_section
        from ducto.config_plans(p_config) p
        where jsonb_typeof(p.plan -> 'rate_overrides') = 'object'
    ), owners as (
        select '' as prefix, '' as plan_key, p_config as sections
        union all
        select o.path || '.', o.plan_key, o.rates from overrides o where o.by_section
    ), entries as (
        select o.prefix || s.section as path, o.plan_key, s.section,
            o.sections -> s.section as rates
        from owners o
        cross join unnest('{models,tools,search,cache,fixed}'::text[]) s(section)
        union all
        select o.path, o.plan_key, 'models', o.rates from overrides o where not o.by_section
    )
    select n.path || '.' || e.key, n.plan_key, n.section, e.key, case jsonb_typeof(e.value)
        when 'number' then trim_scale(e.value::numeric)::text
        when 'string' then e.value #>> '{}'
        end
    from entries n
    cross join lateral jsonb_each(
        case when jsonb_typeof(n.rates) = 'object' then n.rates else '{}' end
    ) e;
$$;
comment on function ducto.config_rates(jsonb) is
    'Every expression of a pricing config with its path and the plan, section and key it is under.';

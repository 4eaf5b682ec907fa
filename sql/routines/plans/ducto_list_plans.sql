create or replace function public.ducto_list_plans()
returns table (
    plan_key text,
    name text,
    free_allowance numeric,
    period text,
    period_anchor text,
    rollover_max numeric,
    features jsonb,
    billing_mode text,
    overdraft_floor numeric,
    max_concurrent integer,
    per_operation jsonb,
    is_default boolean
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select
        p.plan_key, p.name, trim_scale(p.free_allowance), p.period, p.period_anchor,
        trim_scale(p.rollover_max), p.features, p.billing_mode, trim_scale(p.overdraft_floor),
        p.max_concurrent, p.per_operation, p.is_default
    from ducto.credit_pricing_config c
    join ducto.credit_plans p on p.version = c.version
    where c.active
    order by p.position;
end
$$;
comment on function public.ducto_list_plans() is
    'The plans of the active pricing, in the order of its config. Callers: service, admin, reader.';

-- The price of what is not usage priced right now: an amount named outright, or the usage of a
-- hold, which has pinned its pricing version.
create or replace function ducto.price_otherwise(
    p_metrics jsonb,
    p_amount numeric,
    p_hold ducto.credit_reservations,
    p_version integer,
    p_plan_key text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_metrics is null then
        return jsonb_build_object(
            'cost', trim_scale(p_amount),
            'breakdown', jsonb_build_object(
                'model', 0, 'tools', 0, 'search', 0, 'cache', 0, 'fixed', 0,
                'total', trim_scale(p_amount)
            )
        );
    elsif p_hold.pricing_version is not null then
        return ducto.price_usage(p_hold.pricing_version, p_hold.plan_key, p_metrics);
    elsif p_version is not null then
        return ducto.price_usage(p_version, p_plan_key, p_metrics);
    end if;
    return jsonb_build_object('code', 'DU003', 'detail', '{}'::jsonb);
end
$$;
comment on function ducto.price_otherwise(
    jsonb, numeric, ducto.credit_reservations, integer, text
) is
    'What ducto.price_usage returns; DU003 while no pricing is published.';

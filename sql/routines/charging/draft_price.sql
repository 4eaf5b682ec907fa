-- The price of a charge: an amount named outright, or the usage, at the version and plan that a
-- hold has pinned or at those of the terms. {cost, model, breakdown, warnings}, or {code, detail}.
create or replace function ducto.draft_price(
    p_metrics jsonb,
    p_amount numeric,
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
            'cost', trim_scale(p_amount), 'breakdown', ducto.plain_breakdown(null, p_amount)
        );
    elsif p_version > 0 then
        return coalesce(
            ducto.linear_price(p_version, p_plan_key, p_metrics),
            ducto.price_usage(p_version, p_plan_key, p_metrics)
        );
    end if;
    return jsonb_build_object('code', 'DU003', 'detail', '{}'::jsonb);
end
$$;

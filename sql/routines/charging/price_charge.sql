-- The price of what is charged: of metrics by the pricing version, or an amount named outright.
create or replace function ducto.price_charge(
    p_terms ducto.terms,
    p_metrics jsonb,
    p_amount numeric,
    p_hold ducto.credit_reservations
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
    if p_metrics is null then
        return jsonb_build_object(
            'cost', trim_scale(p_amount),
            'breakdown', jsonb_build_object(
                'model', 0, 'tools', 0, 'search', 0, 'cache', 0, 'fixed', 0,
                'total', trim_scale(p_amount)
            ),
            'warnings', '[]'::jsonb
        );
    elsif p_hold.reservation_id is not null and p_hold.pricing_version is not null then
        return ducto.price_usage(p_hold.pricing_version, p_hold.plan_key, p_metrics);
    elsif p_terms.version is null then
        return jsonb_build_object('code', 'DU003', 'detail', '{}'::jsonb);
    end if;
    return ducto.price_usage(p_terms.version, p_terms.plan_key, p_metrics);
end
$$;
comment on function ducto.price_charge(ducto.terms, jsonb, numeric, ducto.credit_reservations) is
    'The result of ducto.price_usage: cost, breakdown, model, warnings, or code and detail.';

-- The price of a charge: an amount named outright, or the usage, at the version and plan that a
-- hold has pinned or at those of the terms. {cost, model, breakdown, warnings}, or {code, detail}.
create or replace function ducto.draft_price(
    p_metrics jsonb,
    p_amount numeric,
    p_version integer,
    p_plan_key text,
    p_linear ducto.linear default null
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.linear := p_linear;
begin
    if p_metrics is null then
        return jsonb_build_object(
            'cost', trim_scale(p_amount), 'breakdown', ducto.plain_breakdown(null, p_amount)
        );
    elsif p_version is null or p_version = 0 then
        return jsonb_build_object('code', 'DU003', 'detail', '{}'::jsonb);
    end if;
    if v.version is null then
        v := ducto.linear_cost(p_metrics);
    end if;
    if v.version = p_version and v.cost < 1e26
        and (p_plan_key = any (v.plain_except)) is not true
    then
        return jsonb_build_object(
            'cost', v.cost, 'model', p_metrics -> 'model', 'rate', p_metrics -> 'model',
            'warnings', '[]'::jsonb,
            'breakdown', ducto.model_breakdown(v.exact, v.cost)
        );
    end if;
    return ducto.price_usage(p_version, p_plan_key, p_metrics);
end
$$;
comment on function ducto.draft_price(jsonb, numeric, integer, text, ducto.linear) is
    'p_linear: of ducto.linear_cost, where it is already known; its version 0: there is none. With '
    'it, the price also says which rate it is of.';

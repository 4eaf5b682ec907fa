-- The price of a usage where ducto.linear_cost knows it; null: ask the evaluator.
create or replace function ducto.linear_price(
    p_version integer,
    p_plan_key text,
    p_metrics jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v constant ducto.linear := ducto.linear_cost(p_metrics);
begin
    if v.version = p_version and v.cost < 1e26
        and (p_plan_key = any (v.plain_except)) is not true
    then
        return jsonb_build_object(
            'cost', v.cost, 'model', p_metrics -> 'model', 'warnings', '[]'::jsonb,
            'breakdown', ducto.model_breakdown(v.exact, v.cost)
        );
    end if;
    return null;
end
$$;
comment on function ducto.linear_price(integer, text, jsonb) is 'As ducto.price_usage.';

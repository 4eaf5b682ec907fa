-- The price of a usage under the active version where it is a sum of products of whole numbers of
-- standard metrics, which no evaluator need be asked for. Null: it is anything else.
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
    v_exact numeric;
    v_scale integer;
    v_cost numeric;
begin
    -- As ducto_deduct has it, which explains it.
    select r.scale, r.constant
        + coalesce((p_metrics -> r.metric_1)::numeric * r.factor_1, 0)
        + coalesce((p_metrics -> r.metric_2)::numeric * r.factor_2, 0)
        + coalesce((p_metrics -> r.metric_3)::numeric * r.factor_3, 0)
        + coalesce((p_metrics -> r.metric_4)::numeric * r.factor_4, 0)
    into v_scale, v_exact
    from ducto.credit_linear_rates r
    where r.model = p_metrics -> 'model'
        and r.version = p_version
        and (p_plan_key = any (r.plain_except)) is not true
        and case when p_metrics @> '{}' then p_metrics - r.metrics = '{}'
            and not p_metrics - '{model,operation}'::text[] @? 'strict $.* ? (
                @.type() != "number" || @ < 0 || @ > 100000000000 || @.floor() != @)' end
        and (jsonb_typeof(p_metrics -> 'operation') = 'string'
            and length(p_metrics ->> 'operation') between 1 and 200) is not false;
    v_cost := trim_scale(round(v_exact, v_scale));
    if v_cost < 1e26 then
        return jsonb_build_object(
            'cost', v_cost, 'model', p_metrics -> 'model', 'warnings', '[]'::jsonb,
            'breakdown', ducto.model_breakdown(v_exact, v_cost)
        );
    end if;
    return null;
end
$$;
comment on function ducto.linear_price(integer, text, jsonb) is 'As ducto.price_usage.';

-- The price of a usage under the active version, where it is a sum of products of whole numbers of
-- standard metrics; every field null: it is anything else, which the evaluator prices or refuses.
-- ducto_deduct has the same statement, and explains it.
create or replace function ducto.linear_cost(p_metrics jsonb)
returns ducto.linear
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.linear;
    v_scale integer;
begin
    select r.version, r.plain_except, r.scale,
        trim_scale(
            r.constant
            + coalesce((p_metrics -> r.metric_1)::numeric * r.factor_1, 0)
            + coalesce((p_metrics -> r.metric_2)::numeric * r.factor_2, 0)
            + coalesce((p_metrics -> r.metric_3)::numeric * r.factor_3, 0)
            + coalesce((p_metrics -> r.metric_4)::numeric * r.factor_4, 0)
        )
    into v.version, v.plain_except, v_scale, v.exact
    from ducto.credit_linear_rates r
    where r.model = p_metrics -> 'model'
        and case when p_metrics - r.metrics = '{}' then
            not p_metrics - '{model,operation}'::text[] @? 'strict $.* ? (
                @.type() != "number" || @ < 0 || @ > 100000000000)'
            and (p_metrics - '{model,operation}'::text[])::text not like '%.%'
            and (jsonb_typeof(p_metrics -> 'operation') = 'string'
                and length(p_metrics ->> 'operation') between 1 and 200) is not false
            end;
    v.cost := case when v_scale is null then v.exact
        else trim_scale(round(v.exact, v_scale)) end;
    return v;
end
$$;

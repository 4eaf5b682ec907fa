-- Lays out what charges of the active version compute by themselves.
create or replace function ducto.activate_rates(p_version integer)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from ducto.credit_linear_rates;
    insert into ducto.credit_linear_rates (
        model, version, scale, metrics, plain_except, constant, metric_1, factor_1,
        metric_2, factor_2, metric_3, factor_3, metric_4, factor_4
    )
    select to_jsonb(r.key), r.version,
        case when r.plain_scale < (select max(min_scale(f)) from unnest(r.factors) f)
            then r.plain_scale end,
        array_remove(ducto.config_metrics('{}'), 'tool_calls') || '{model,operation}',
        r.plain_except, r.factors[1],
        r.names[1], r.factors[2], r.names[2], r.factors[3],
        r.names[3], r.factors[4], r.names[4], r.factors[5]
    from ducto.credit_rates r
    where r.version = p_version and r.plan_key = '' and r.section = 'models'
        and r.factors is not null and r.plain_scale is not null;
end
$$;
comment on function ducto.activate_rates(integer) is
    'Called with the pricing locked, by whoever changes which version is active.';

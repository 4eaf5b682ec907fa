-- What a config's compiled programs amount to: {errors, warnings}, each with the path of its
-- expression. Every expression is verified and proved here, whoever compiled it.
create or replace function ducto.check_programs(p_config jsonb, p_programs jsonb)
returns jsonb
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with rates as materialized (
        select r.* from ducto.config_rates(p_config) r
    ), outcomes as materialized (
        select x.expression, ducto.check_program(x.expression, p.value, x.metric_names) as outcome
        from (
            select distinct r.expression, c.metric_names
            from rates r, (select ducto.config_metrics(p_config) as metric_names) c
        ) x
        left join jsonb_each(p_programs) p on p.key = x.expression
    ), found as (
        select r.path, r.expression, o.outcome || jsonb_strip_nulls(jsonb_build_object(
            'path', r.path,
            'section', r.section,
            'key', r.key,
            'plan_key', nullif(r.plan_key, '')
        )) as entry, (o.outcome -> 'price')::numeric as price
        from rates r
        join outcomes o on o.expression = r.expression
    )
    select jsonb_build_object(
        'errors', coalesce(
            jsonb_agg(
                f.entry || jsonb_build_object(
                    'code', case when f.entry ? 'reason' then 'DU005' else 'DU006' end,
                    'expression', left(f.expression, 2000)
                )
                order by f.path
            ) filter (where f.price is null),
            '[]'
        ),
        'warnings', coalesce(
            jsonb_agg(
                f.entry - 'price' || jsonb_build_object(
                    'code', case when f.price < 0 then 'negative_price' else 'zero_price' end,
                    'message', format(
                        'the price is %s for typical usage (%s)',
                        case when f.price < 0 then 'negative' else 'zero' end, f.price
                    )
                )
                order by f.path
            ) filter (where f.price <= 0),
            '[]'
        )
    )
    from found f;
$$;
comment on function ducto.check_programs(jsonb, jsonb) is
    'Errors and warnings about the programs of a pricing config.';

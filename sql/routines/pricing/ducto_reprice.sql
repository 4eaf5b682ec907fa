create or replace function public.ducto_reprice(
    p_config jsonb,
    p_start timestamptz,
    p_end timestamptz default null
)
returns table (
    model text,
    charges bigint,
    cost numeric,
    new_cost numeric,
    unpriced bigint,
    first_error text
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    v_version integer;
    v_end timestamptz := coalesce(p_end, ducto.now());
begin
    if p_start is null or p_start >= v_end then
        perform ducto.raise_error('DU017', jsonb_build_object(
            'argument', 'p_start', 'message', 'The window must begin before it ends.'
        ));
    end if;
    v_version := ducto.scratch_pricing(p_config);
    return query
        with priced as (
            select coalesce(t.model, '') as model, t.allowance_consumed - t.amount as cost,
                ducto.price_usage(v_version, t.plan_key, t.metrics) as price
            from ducto.credit_transactions t
            where t.type = 'usage' and t.metrics is not null
                and t.created_at >= p_start and t.created_at < v_end
        )
        select p.model, count(*), trim_scale(coalesce(sum(p.cost), 0)),
            trim_scale(coalesce(sum((p.price -> 'cost')::numeric), 0)),
            count(*) filter (where p.price ? 'code'),
            min(
                ducto.error_object(p.price ->> 'code', ducto.scratch_detail(p.price)) ->> 'message'
            ) filter (where p.price ? 'code')
        from priced p
        group by grouping sets ((p.model), ())
        order by grouping(p.model), 3 desc, 1;
    perform ducto.drop_scratch(v_version);
end
$$;
comment on function public.ducto_reprice(jsonb, timestamptz, timestamptz) is
    'What the stored usage of a window would have cost under a config that is not published: a row '
    'per model (empty: usage without one) and one with a null model for the total, with charges, '
    'cost, new_cost, unpriced (charges the config has no price for, left out of new_cost) and '
    'first_error. Charges of a plain amount have no usage and are left out. Errors: DU005, DU006, '
    'DU017. Writes nothing. Callers: service, admin, reader.';

-- The plain charges of a batch with their prices: usages that are valid and have a price, under
-- keys never used. A user with any other item is left out, so that each user's charges stay in
-- order.
create or replace function ducto.price_batch(p_charges jsonb, p_version integer)
returns table (
    place bigint,
    user_id text,
    metrics jsonb,
    idempotency_key text,
    metadata jsonb,
    price jsonb,
    cost numeric,
    user_cost numeric
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with item as materialized (
        select c.place, c.item ->> 'user_id' as user_id, c.item -> 'metrics' as metrics,
            c.item ->> 'idempotency_key' as idempotency_key,
            nullif(c.item -> 'metadata', 'null') as metadata,
            ducto.check_batch_item(c.item) is null and c.item ? 'metrics' as valid
        from jsonb_array_elements(p_charges) with ordinality as c (item, place)
    ), checked as materialized (
        select i.*,
            bool_and(
                i.valid
                and coalesce(length(i.idempotency_key) between 1 and 255, true)
                and jsonb_typeof(i.metrics) = 'object'
                and coalesce(jsonb_typeof(i.metadata) = 'object', true)
                and octet_length(i.metrics::text) <= 65536
                and coalesce(octet_length(i.metadata::text) <= 65536, true)
                and not exists (
                    select from ducto.credit_transactions t
                    where t.account_id = i.user_id and t.idempotency_key = i.idempotency_key
                )
            ) over (partition by i.user_id)
            and coalesce(max(i.uses) over (partition by i.user_id), 0) <= 1 as plain
        from (
            select n.*, case when n.idempotency_key is not null
                then count(*) over (partition by n.user_id, n.idempotency_key) end as uses
            from item n
        ) i
    ), priced as materialized (
        select k.*, ducto.price_usage(p_version, null, k.metrics) as price
        from checked k
        where k.plain
    )
    select p.place, p.user_id, p.metrics, p.idempotency_key, p.metadata, p.price,
        (p.price -> 'cost')::numeric,
        sum((p.price -> 'cost')::numeric) over (partition by p.user_id)
    from priced p
    where p.user_id not in (select e.user_id from priced e where not e.price ? 'cost');
end
$$;

-- The latest charges, priced again by the version and plan they store, cost what they cost.
create or replace function ducto.check_prices(p_limit integer)
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'price', t.account_id, jsonb_build_object(
        'transaction_id', t.id, 'pricing_version', t.pricing_version,
        'cost', t.allowance_consumed - t.amount, 'recomputed', t.price
    )
    from (
        select e.*, ducto.price_usage(e.pricing_version, e.plan_key, e.metrics) as price
        from ducto.credit_transactions e
        where e.type = 'usage' and e.metrics is not null
        order by e.id desc
        limit p_limit
    ) t
    where (t.price -> 'cost')::numeric is distinct from t.allowance_consumed - t.amount;
end
$$;

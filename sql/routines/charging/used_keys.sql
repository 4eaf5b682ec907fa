-- The accounts among bookings one of whose keys is used already: one look for each key, whatever
-- the statistics were when the plan was made. Call it with the accounts locked.
create or replace function ducto.used_keys(p_bookings ducto.booking[])
returns text[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_bitmapscan = off
as $$
begin
    return array(
        select distinct b.account_id
        from unnest(p_bookings) b
        cross join lateral (
            select from ducto.credit_transactions t
            where t.account_id = b.account_id and t.idempotency_key = b.idempotency_key
            limit 1
        ) k
    );
end
$$;

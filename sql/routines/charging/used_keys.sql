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
set jit = off
as $$
begin
    return array(
        select distinct b.account_id
        from unnest(p_bookings) b
        -- The first key from here on: in this order only the index of keys has them, so that an
        -- empty table's statistics cannot choose the other one.
        cross join lateral (
            select t.idempotency_key as found from ducto.credit_transactions t
            where t.account_id = b.account_id and t.idempotency_key >= b.idempotency_key
            order by t.idempotency_key
            limit 1
        ) k
        where k.found = b.idempotency_key
    );
end
$$;

-- The results of those charges of a batch that were written before under their keys. A key that
-- stands for anything else is left to ducto.find_replay, which says so.
create or replace function ducto.replay_together(p_charges jsonb)
returns table (place integer, result jsonb)
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
    return query
    select c.place::integer, ducto.charge_result(k.entry, 'user', true)
    from jsonb_array_elements(p_charges) with ordinality c (item, place)
    -- The first key from here on: in this order only the index of keys has them, so that an empty
    -- table's statistics cannot choose the other one.
    cross join lateral (
        select row(t.*)::ducto.entry as entry from ducto.credit_transactions t
        where t.account_id = c.item ->> 'user_id'
            and t.idempotency_key >= c.item ->> 'idempotency_key'
        order by t.idempotency_key
        limit 1
    ) k
    where c.item ->> 'team_id' is null
        and ducto.check_batch_item(c.item) is null
        and (k.entry).idempotency_key = c.item ->> 'idempotency_key'
        and (k.entry).type = 'usage'
        and (k.entry).actor_id = c.item ->> 'user_id'
        and (k.entry).metrics = c.item -> 'metrics'
        and (k.entry).reservation_id is null
        and (k.entry).occurred_at is not distinct from
            ducto.read_instant(c.item ->> 'occurred_at');
end
$$;

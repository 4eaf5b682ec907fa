-- The results of those charges of a batch that were written before under their keys. A key that
-- stands for anything else is left to ducto.find_replay, which says so.
create or replace function ducto.replay_together(p_items jsonb[])
returns table (place bigint, result jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
begin
    return query
    select u.place, ducto.charge_result(k.entry, 'user', true)
    from unnest(p_items) with ordinality u (item, place)
    cross join lateral (
        select row(t.*)::ducto.entry as entry from ducto.credit_transactions t
        where t.account_id = u.item ->> 'user_id'
            and t.idempotency_key between u.item ->> 'idempotency_key'
                and u.item ->> 'idempotency_key'
        -- In this order only the index of keys has them, so that an empty table's statistics cannot
        -- choose the other one.
        order by t.idempotency_key
        limit 1
    ) k
    where u.item ->> 'team_id' is null
        and (k.entry).type = 'usage'
        and (k.entry).actor_id = u.item ->> 'user_id'
        and (k.entry).metrics = u.item -> 'metrics'
        and (k.entry).reservation_id is null
        and case when ducto.check_batch_item(u.item) is null
            then (k.entry).occurred_at is not distinct from
                ducto.read_instant(u.item ->> 'occurred_at') end;
end
$$;
comment on function ducto.replay_together(jsonb[]) is
    'p_items: charges of a batch, null where one is done; place: from 1.';

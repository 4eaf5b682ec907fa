-- The feed between two ids: entries of the ledger, each as its event, and events of their own.
-- Rows that only the caller's own transaction can see are never among them. The snapshots are taken
-- out of the cursor once, not for every row; no team is looked up for what users paid themselves.
create or replace function ducto.read_events(
    p_cursor ducto.event_cursors,
    p_from_id bigint,
    p_to_id bigint,
    p_types text[],
    p_limit integer
)
returns setof ducto.event
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_seen pg_snapshot := p_cursor.seen::text::pg_snapshot;
    v_reading pg_snapshot := p_cursor.reading::text::pg_snapshot;
    c_positive constant bigint := 9223372036854775807;
begin
    return query
    select f.id, f.event_type, f.actor_id, case
        when f.event_type <> 'credits.deducted' or f.actor_id <> f.account_id then (
            select c.account_id from ducto.credit_accounts c
            where c.account_id = f.account_id and c.kind = 'team'
        ) end, f.created_at, f.data
    from (
        (
            select t.id, t.account_id, t.actor_id, t.event_type, t.created_at,
                -- Most are charges: a call for each would cost as much as the rest.
                case when t.type = 'usage' then jsonb_build_object(
                    'transaction_id', t.id, 'amount', trim_scale(-t.amount),
                    'balance_after', trim_scale(t.balance_after), 'occurred_at', t.occurred_at,
                    'cost', trim_scale(t.allowance_consumed - t.amount),
                    'allowance_consumed', trim_scale(t.allowance_consumed),
                    'model', t.model, 'operation', t.operation, 'metrics', t.metrics,
                    'pricing_version', t.pricing_version, 'reservation_id', t.reservation_id,
                    'idempotency_key', t.idempotency_key, 'metadata', coalesce(t.metadata, '{}')
                ) else ducto.entry_data(
                    t.event_type, t.id, t.type::text, t.amount, t.allowance_consumed,
                    t.balance_after, t.reference_id, t.idempotency_key, t.metadata
                ) end as data
            from (
                select e.*, case e.type::text
                    when 'usage' then 'credits.deducted'
                    when 'refund' then 'credits.refunded'
                    when 'expiry' then 'credits.expired'
                    when 'revocation' then 'credits.revoked'
                    else case when e.amount < 0 then 'credits.adjusted' else 'credits.added' end
                end as event_type
                from ducto.credit_transactions e
            ) t
            where ducto.tells_entries(p_types) and t.id > p_from_id and t.id <= p_to_id
                and not pg_visible_in_snapshot(t.xid, v_seen)
                -- A younger transaction's older id: written on the server this was restored from.
                and (pg_visible_in_snapshot(t.xid, v_reading)
                    or t.xid > p_cursor.mark_xid and t.id <= p_cursor.mark_id)
                and (p_cursor.lanes = 1 or p_cursor.lane
                    = (hashtextextended(t.account_id, 0) & c_positive) % p_cursor.lanes)
                and (p_types is null or t.event_type = any (p_types))
            order by t.id limit p_limit
        ) union all (
            select e.id, e.account_id, e.actor_id, e.type, e.created_at, e.data
            from ducto.credit_events e
            where e.id > p_from_id and e.id <= p_to_id
                and not pg_visible_in_snapshot(e.xid, v_seen)
                and (pg_visible_in_snapshot(e.xid, v_reading)
                    or e.xid > p_cursor.mark_xid and e.id <= p_cursor.mark_id)
                and (p_cursor.lanes = 1 or p_cursor.lane
                    = (hashtextextended(e.account_id, 0) & c_positive) % p_cursor.lanes)
                and (p_types is null or e.type = any (p_types))
            order by e.id limit p_limit
        )
    ) as f
    order by f.id limit p_limit;
end
$$;

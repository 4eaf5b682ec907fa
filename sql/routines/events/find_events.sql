-- The next events of a lane between two ids, as ids. Rows that only the caller's own transaction
-- can see are never among them. The snapshots are taken out of the cursor once, not for every row,
-- and looked at last, for the rows of the lane.
create or replace function ducto.find_events(
    p_cursor ducto.event_cursors,
    p_from_id bigint,
    p_to_id bigint,
    p_types text[],
    p_limit integer
)
returns bigint[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_seen constant pg_snapshot := p_cursor.seen::text::pg_snapshot;
    v_reading constant pg_snapshot := p_cursor.reading::text::pg_snapshot;
    v_tells_entries constant boolean := ducto.tells_entries(p_types);
    c_positive constant bigint := 9223372036854775807;
begin
    return array(
        select f.id
        from (
            (
                select l.id
                from ducto.ledger_events l
                where v_tells_entries and l.id > p_from_id and l.id <= p_to_id
                    and (p_cursor.lanes = 1 or p_cursor.lane
                        = (hashtextextended(l.account_id, 0) & c_positive) % p_cursor.lanes)
                    and not pg_visible_in_snapshot(l.xid, v_seen)
                    -- A younger transaction's older id: of the server it was restored from.
                    and (pg_visible_in_snapshot(l.xid, v_reading)
                        or l.xid > p_cursor.mark_xid and l.id <= p_cursor.mark_id)
                    and (p_types is null or l.type = any (p_types))
                order by l.id limit p_limit
            ) union all (
                select e.id
                from ducto.credit_events e
                where e.id > p_from_id and e.id <= p_to_id
                    and (p_cursor.lanes = 1 or p_cursor.lane
                        = (hashtextextended(e.account_id, 0) & c_positive) % p_cursor.lanes)
                    and not pg_visible_in_snapshot(e.xid, v_seen)
                    and (pg_visible_in_snapshot(e.xid, v_reading)
                        or e.xid > p_cursor.mark_xid and e.id <= p_cursor.mark_id)
                    and (p_types is null or e.type = any (p_types))
                order by e.id limit p_limit
            )
        ) as f
        order by f.id limit p_limit
    );
end
$$;

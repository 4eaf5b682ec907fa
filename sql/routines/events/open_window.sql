-- The next stretch of the feed: what has been committed by now and was not when the last one was
-- opened. Only what ids could have been drawn by transactions that ended in between is looked at.
create or replace function ducto.open_window(
    p_cursor ducto.event_cursors,
    p_last_id bigint,
    p_is_fresh boolean
)
returns ducto.event_cursors
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    -- So far behind, it is worth asking whether a transaction has written to the ledger at all.
    c_far constant bigint := 10000::bigint;
    v ducto.event_cursors := p_cursor;
    v_now pg_snapshot;
    v_idle xid[];
begin
    v_now := ducto.committed_snapshot();
    v.acked_id := least(p_cursor.low, (
        select min(r.low) from unnest(p_cursor.running) r
        where pg_visible_in_snapshot(r.xid, v_now)
    ));
    v.low := case when pg_snapshot_xmax(v_now) > p_cursor.mark_xid then p_cursor.mark_id
        else p_cursor.low end;
    select coalesce(array_agg((x.xid, coalesce(
        r.low, case when x.xid > p_cursor.mark_xid then p_cursor.mark_id else p_cursor.low end
    ))::ducto.running_writer), '{}')
    into v.running
    from pg_snapshot_xip(v_now) as x (xid)
    left join unnest(p_cursor.running) as r on r.xid = x.xid;
    if exists (select from unnest(v.running) r where r.low < p_last_id - c_far) then
        v_idle := array(select ducto.idle_writers());
        v.running := array(
            select (
                r.xid, case when r.xid::xid = any (v_idle) then p_last_id else r.low end
            )::ducto.running_writer
            from unnest(v.running) r
        );
    end if;
    if p_is_fresh then
        v.mark_xid := pg_current_xact_id();
        v.mark_id := p_last_id;
    end if;
    v.reading := v_now;
    v.top_id := ducto.last_event_id();
    return v;
end
$$;
comment on function ducto.open_window(ducto.event_cursors, bigint, boolean) is
    'p_last_id: the last id drawn when the poll began; p_is_fresh: the polling transaction had no '
    'id then, so that whatever is younger than it draws greater ones. The result is not stored.';

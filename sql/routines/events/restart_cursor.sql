-- A cursor that was restored on another server, where transaction ids say nothing about what has
-- been delivered: everything that may not have been is delivered, some of it again.
create or replace function ducto.restart_cursor(p_cursor ducto.event_cursors, p_cluster bigint)
returns ducto.event_cursors
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.event_cursors := p_cursor;
begin
    v.low := least(
        p_cursor.low, p_cursor.acked_id, (select min(r.low) from unnest(p_cursor.running) r)
    );
    v.cluster := p_cluster;
    v.seen := '1:1:';
    v.reading := null;
    v.running := '{}';
    v.mark_xid := pg_current_xact_id();
    v.mark_id := v.low;
    return v;
end
$$;

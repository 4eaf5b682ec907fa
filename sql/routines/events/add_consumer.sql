-- Creates the cursors of a consumer; false where it exists.
create or replace function ducto.add_consumer(
    p_consumer text,
    p_from_now boolean,
    p_lanes integer
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    -- The last id first, the transaction's own after it: what is younger draws greater ones.
    v_is_fresh boolean := pg_current_xact_id_if_assigned() is null;
    v_last_id bigint := ducto.last_event_id();
    v_own xid8 := pg_current_xact_id();
    v_seen pg_snapshot := case when p_from_now then ducto.committed_snapshot()
        else '1:1:'::pg_snapshot end;
    v_low bigint := case when p_from_now then v_last_id else 0 end;
begin
    -- The first lane decides who creates it, where two do so at once with other numbers of lanes.
    insert into ducto.event_cursors (
        consumer, lane, lanes, cluster, seen, acked_id, top_id, mark_xid, mark_id, low, running,
        created_at
    )
    values (
        p_consumer, 0, p_lanes, ducto.cluster_id(), v_seen, v_low, v_low, v_own,
        case when v_is_fresh then v_last_id else v_low end, v_low,
        array(select (x, v_low)::ducto.running_writer from pg_snapshot_xip(v_seen) x), ducto.now()
    )
    on conflict (consumer, lane) do nothing;
    if not found then
        return false;
    end if;
    insert into ducto.event_cursors (
        consumer, lane, lanes, cluster, seen, acked_id, top_id, mark_xid, mark_id, low, running,
        created_at
    )
    select
        c.consumer, l.lane, c.lanes, c.cluster, c.seen, c.acked_id, c.top_id, c.mark_xid,
        c.mark_id, c.low, c.running, c.created_at
    from ducto.event_cursors c
    cross join generate_series(1, p_lanes - 1) as l (lane)
    where c.consumer = p_consumer and c.lane = 0;
    return true;
end
$$;
comment on function ducto.add_consumer(text, boolean, integer) is
    'p_from_now: it gets what is written from now on; otherwise everything there is.';

-- Hands out the next events of one lane, which the caller has locked, as ids, and moves its cursor
-- on.
create or replace function ducto.poll_lane(
    p_cursor ducto.event_cursors,
    p_last_id bigint,
    p_is_fresh boolean,
    p_types text[],
    p_limit integer,
    p_batch bigint,
    p_lease_seconds integer
)
returns bigint[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    -- How many ids are looked at in one step, and how many steps a poll takes: its work is bounded,
    -- however long the ledger and however rare what it looks for.
    c_ids constant bigint := 50000::bigint;
    c_steps constant integer := 5;
    v_bounded constant boolean := ducto.tells_entries(p_types);
    v ducto.event_cursors := p_cursor;
    v_found bigint[] := array[]::bigint[];
    v_to_id bigint;
    v_opened boolean := false;
    v_is_idle boolean := false;
begin
    for v_step in 1..c_steps loop
        if v.reading is null then
            v := ducto.open_window(v, p_last_id, p_is_fresh);
            v_opened := true;
            v_is_idle := v.acked_id >= v.top_id and p_cursor.reading is null;
        end if;
        v_to_id := case when v_bounded then least(v.top_id, v.acked_id + c_ids) else v.top_id end;
        if v.acked_id < v_to_id then
            v_found := ducto.find_events(v, v.acked_id, v_to_id, p_types, p_limit);
            exit when cardinality(v_found) > 0;
        end if;
        v.acked_id := greatest(v.acked_id, v_to_id);
        if v_to_id >= v.top_id then
            v.seen := v.reading;
            v.reading := null;
            exit when v_opened;
        end if;
    end loop;
    if cardinality(v_found) > 0 then
        v.batch := p_batch;
        v.handed_id := v_found[cardinality(v_found)];
        v.handed_at := ducto.now();
        v.lease_seconds := p_lease_seconds;
        v.leased_until := v.handed_at + make_interval(secs => p_lease_seconds);
    elsif v_is_idle and v.cluster = p_cursor.cluster then
        -- Nothing can have happened since: a consumer of an idle ledger writes nothing.
        return v_found;
    else
        v.batch := null;
        v.leased_until := null;
    end if;
    update ducto.event_cursors c set
        cluster = v.cluster, seen = v.seen, reading = v.reading, acked_id = v.acked_id,
        top_id = v.top_id, mark_xid = v.mark_xid, mark_id = v.mark_id, low = v.low,
        running = v.running, batch = v.batch, handed_id = v.handed_id, handed_at = v.handed_at,
        lease_seconds = v.lease_seconds, leased_until = v.leased_until
    where c.consumer = v.consumer and c.lane = v.lane;
    return v_found;
end
$$;

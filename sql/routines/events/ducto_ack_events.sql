create or replace function public.ducto_ack_events(
    p_consumer text,
    p_cursor text
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v record;
    v_now timestamptz := ducto.now();
    v_cluster bigint := ducto.cluster_id();
    v_lanes bigint;
    v_letters bigint;
begin
    perform ducto.check_consumer(p_consumer);
    v := ducto.parse_event_cursor(p_cursor);
    with moved as (
        update ducto.event_cursors c set
            acked_id = greatest(c.acked_id, least(v.event_id, c.handed_id)),
            batch = case when v.event_id < c.handed_id then c.batch end,
            leased_until = case when v.event_id < c.handed_id
                then v_now + make_interval(secs => c.lease_seconds) end
        where c.consumer = p_consumer and c.batch = v.batch
            -- Where a restore has begun the numbers anew, another batch may have had this one.
            and c.cluster = v_cluster
        returning c.lane
    )
    select count(*) into v_lanes from moved;
    with gone as (
        delete from ducto.event_dead_letters d
        where d.consumer = p_consumer and d.batch = v.batch
            and d.event_id <= v.event_id and d.retried_at is not null
        returning d.event_id
    )
    select count(*) into v_letters from gone;
    return jsonb_build_object('acknowledged', v_lanes + v_letters > 0);
end
$$;
comment on function public.ducto_ack_events(text, text) is
    'Acknowledges the events of a poll up to and including the one with this cursor, and renews '
    'the lease of the rest. acknowledged is false where all of them are already acknowledged, or '
    'where the lease had run out and they were handed out again: the rest of the batch is then '
    'somebody else''s. Errors: DU017. Callers: service, admin. Idempotent.';

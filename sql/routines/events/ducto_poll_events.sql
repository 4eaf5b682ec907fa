-- Planned once a session, by the keys, how long the ledger may be: planning anew would cost as much
-- as finding a hundred events.
create or replace function public.ducto_poll_events(
    p_consumer text,
    p_limit integer default 100,
    p_types text[] default null,
    p_lease_seconds integer default 60
)
returns table (
    cursor text,
    event_id bigint,
    type text,
    user_id text,
    team_id text,
    occurred_at timestamptz,
    data jsonb
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    -- Before any lock gives this transaction an id: what is younger draws greater event ids.
    v_is_fresh boolean := pg_current_xact_id_if_assigned() is null;
    v_last_id bigint := ducto.last_event_id();
    v_cluster bigint := ducto.cluster_id();
    v_batch bigint := nextval('ducto.event_batches');
    v_letters integer;
    v_found bigint[] := array[]::bigint[];
    v_lane integer;
    v ducto.event_cursors;
begin
    perform ducto.check_poll(p_limit, p_lease_seconds);
    perform public.ducto_create_consumer(
        p_consumer, case when starts_with(p_consumer, 'tail-') then 'now' else 'start' end
    );
    v_letters := ducto.poll_dead_letters(p_consumer, p_limit, v_batch, p_lease_seconds);
    for v_lane in
        select c.lane from ducto.event_cursors c
        where c.consumer = p_consumer
        order by c.handed_at nulls first, c.lane
    loop
        exit when v_letters + cardinality(v_found) >= p_limit;
        select c.* into v from ducto.event_cursors c
        where c.consumer = p_consumer and c.lane = v_lane
            and (c.leased_until is null or c.leased_until <= ducto.now())
        for no key update skip locked;
        continue when not found;
        if v.cluster <> v_cluster or v.mark_xid > pg_current_xact_id() then
            v := ducto.restart_cursor(v, v_cluster);
        end if;
        v_found := v_found || ducto.poll_lane(
            v, v_last_id, v_is_fresh, p_types,
            p_limit - v_letters - cardinality(v_found), v_batch, p_lease_seconds
        );
    end loop;
    -- As text a cursor sorts as the events of a batch do.
    return query
    select
        lpad(v_batch::text, 19, '0') || '-' || lpad(f.event_id::text, 19, '0'), f.event_id, f.type,
        f.user_id, f.team_id, f.occurred_at, f.data
    from (
        select e.* from ducto.told_events e where e.event_id = any (v_found)
        union all
        select (d.event).*
        from ducto.event_dead_letters d
        where v_letters > 0 and d.consumer = p_consumer and d.batch = v_batch
    ) f
    order by f.event_id;
end
$$;
comment on function public.ducto_poll_events(text, integer, text[], integer) is
    'The next events of a consumer, which nobody else gets for p_lease_seconds; what is not '
    'acknowledged by then comes again. The events of an account come in the order in which they '
    'were committed. p_limit: 1 to 1000; p_types: only these types, the others count as '
    'delivered. An unknown consumer is created, reading from the start. Errors: DU017. Callers: '
    'service, admin.';

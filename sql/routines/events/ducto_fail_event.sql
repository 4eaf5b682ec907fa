create or replace function public.ducto_fail_event(
    p_consumer text,
    p_cursor text,
    p_error text,
    p_attempts integer default 1
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v record;
    v_event ducto.event;
    v_feed ducto.event_cursors;
begin
    perform ducto.check_consumer(p_consumer);
    v := ducto.parse_event_cursor(p_cursor);
    v_feed.seen := '1:1:';
    v_feed.reading := ducto.committed_snapshot();
    v_feed.mark_xid := '1';
    v_feed.mark_id := v.event_id;
    v_feed.lane := 0;
    v_feed.lanes := 1;
    select e.* into v_event
    from ducto.told_events e
    where e.event_id = any (ducto.find_events(v_feed, v.event_id - 1, v.event_id, null, 1));
    if not found then
        select (d.event).* into v_event from ducto.event_dead_letters d
        where d.consumer = p_consumer and d.event_id = v.event_id;
    end if;
    if v_event.event_id is null then
        perform ducto.raise_error('DU017', ducto.invalid('p_cursor', 'There is no such event.'));
    end if;
    insert into ducto.event_dead_letters (
        consumer, event_id, event, error, attempts, failed_at
    ) values (
        p_consumer, v.event_id, v_event, left(coalesce(p_error, ''), 2000),
        greatest(p_attempts, 1), ducto.now()
    )
    on conflict (consumer, event_id) do update set
        error = excluded.error,
        attempts = event_dead_letters.attempts + excluded.attempts,
        failed_at = excluded.failed_at,
        retried_at = null,
        batch = null,
        leased_until = null;
    return jsonb_build_object('consumer', p_consumer, 'event_id', v.event_id);
end
$$;
comment on function public.ducto_fail_event(text, text, text, integer) is
    'Records that a consumer gave up on an event: it becomes a dead letter, to be looked at and '
    'tried again. Acknowledge it afterwards, as any other. Errors: DU017. Callers: service, '
    'admin.';

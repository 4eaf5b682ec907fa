create or replace function public.ducto_retry_dead_events(
    p_consumer text,
    p_event_id bigint default null,
    p_discard boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count integer;
begin
    if p_discard then
        delete from ducto.event_dead_letters d
        where d.consumer = p_consumer and (p_event_id is null or d.event_id = p_event_id);
    else
        update ducto.event_dead_letters d set retried_at = ducto.now()
        where d.consumer = p_consumer and (p_event_id is null or d.event_id = p_event_id)
            and d.retried_at is null;
    end if;
    get diagnostics v_count = row_count;
    return jsonb_build_object('consumer', p_consumer, 'events', v_count);
end
$$;
comment on function public.ducto_retry_dead_events(text, bigint, boolean) is
    'Has a consumer''s next poll deliver a dead letter again (null: all of them); once it is '
    'acknowledged it is gone. p_discard: forget it instead. Callers: service, admin. Idempotent.';

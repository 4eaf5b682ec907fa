create or replace function public.ducto_release_events(p_consumer text, p_cursor text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v record;
    v_lanes bigint;
    v_letters bigint;
begin
    perform ducto.check_consumer(p_consumer);
    v := ducto.parse_event_cursor(p_cursor);
    update ducto.event_cursors c set batch = null, leased_until = null
    where c.consumer = p_consumer and c.batch = v.batch;
    get diagnostics v_lanes = row_count;
    update ducto.event_dead_letters d set batch = null, leased_until = null
    where d.consumer = p_consumer and d.batch = v.batch;
    get diagnostics v_letters = row_count;
    return jsonb_build_object('released', v_lanes + v_letters > 0);
end
$$;
comment on function public.ducto_release_events(text, text) is
    'Gives back what is left of the poll that the cursor is of, for whoever polls next, before its '
    'lease is over. Errors: DU017. Callers: service, admin. Idempotent.';

create or replace function public.ducto_remove_consumer(p_consumer text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_removed boolean;
begin
    delete from ducto.event_cursors c where c.consumer = p_consumer;
    v_removed := found;
    delete from ducto.event_dead_letters d where d.consumer = p_consumer;
    return jsonb_build_object('consumer', p_consumer, 'removed', v_removed);
end
$$;
comment on function public.ducto_remove_consumer(text) is
    'Forgets a consumer, how far it has read, and its dead letters. Events are kept for every '
    'consumer there is, so remove what nobody polls. Callers: service, admin. Idempotent.';

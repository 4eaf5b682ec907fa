create or replace function public.ducto_create_consumer(
    p_consumer text,
    p_from text default 'start',
    p_lanes integer default 4
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_created boolean := false;
    v_lanes integer;
begin
    if (length(p_consumer) between 1 and 100) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_consumer', 'The name of a consumer has 1 to 100 characters.'
        ));
    elsif (p_from in ('start', 'now')) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_from', 'A consumer reads from "start" or from "now".'
        ));
    elsif (p_lanes between 1 and 64) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_lanes', 'A consumer has 1 to 64 lanes.'
        ));
    end if;
    if not exists (select from ducto.event_cursors c where c.consumer = p_consumer) then
        v_created := ducto.add_consumer(p_consumer, p_from = 'now', p_lanes);
    end if;
    select max(c.lanes) into v_lanes from ducto.event_cursors c where c.consumer = p_consumer;
    return jsonb_build_object(
        'consumer', p_consumer, 'lanes', v_lanes, 'created', v_created
    );
end
$$;
comment on function public.ducto_create_consumer(text, text, integer) is
    'Creates a consumer of events, which keeps what it already has if it exists. p_from: "start" '
    '(all there is) or "now" (what happens from now on). p_lanes: how many processes can work at '
    'once. Polling creates a consumer too, from the start. Errors: DU017. Callers: service, '
    'admin. Idempotent.';

-- The batch and the event that a cursor stands for.
create or replace function ducto.parse_event_cursor(
    p_cursor text,
    out batch bigint,
    out event_id bigint
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if (p_cursor ~ '^[0-8][0-9]{18}-[0-8][0-9]{18}$') is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_cursor', 'The cursor is the one of an event, as ducto_poll_events returned it.'
        ));
    end if;
    batch := split_part(p_cursor, '-', 1)::bigint;
    event_id := split_part(p_cursor, '-', 2)::bigint;
end
$$;

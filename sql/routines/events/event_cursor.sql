-- The text by which events are acknowledged; as text it sorts as the events of a batch do.
create or replace function ducto.event_cursor(p_batch bigint, p_event_id bigint)
returns text
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select format('%s-%s', lpad(p_batch::text, 19, '0'), lpad(p_event_id::text, 19, '0'));
$$;

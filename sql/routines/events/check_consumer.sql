-- The name of a consumer, where it exists; a call that names none is refused.
create or replace function ducto.check_consumer(p_consumer text)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from ducto.event_cursors c where c.consumer = p_consumer) then
        perform ducto.raise_error('DU017', ducto.invalid('p_consumer', format(
            'There is no consumer %s.', coalesce(p_consumer, 'without a name')
        )));
    end if;
end
$$;

create or replace function ducto.check_poll(p_limit integer, p_lease_seconds integer)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if (p_limit between 1 and 1000) is not true then
        perform ducto.raise_error('DU017', ducto.invalid('p_limit', 'The limit is 1 to 1000.'));
    elsif (p_lease_seconds between 1 and 86400) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_lease_seconds', 'A lease lasts 1 to 86400 seconds.'
        ));
    end if;
end
$$;
comment on function ducto.check_poll(integer, integer) is 'Refuses what a poll may not ask for.';

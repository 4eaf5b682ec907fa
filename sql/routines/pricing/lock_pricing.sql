-- Publishing and activating take turns, so that versions are consecutive and one is active.
create or replace function ducto.lock_pricing()
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
return pg_advisory_xact_lock(4785300192668116);
comment on function ducto.lock_pricing() is
    'Serialises, until the transaction ends, what changes which pricing version is active.';

-- Publishing and activating take turns, so that versions are consecutive and one is active. A row
-- that only the owner can lock: any session could take an advisory lock and keep it.
create or replace function ducto.lock_pricing()
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select from ducto.settings as s where s.key = 'evaluator' for no key update;
$$;
comment on function ducto.lock_pricing() is
    'Serialises, until the transaction ends, what changes which pricing version is active.';

-- The ten minutes that an instant is in: how finely the rollup knows where in the ledger it is.
create or replace function ducto.usage_slot(p_at timestamptz)
returns timestamptz
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select date_bin('10 minutes', p_at, '1900-01-01 00:00:00+00');
$$;

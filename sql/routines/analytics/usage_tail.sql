-- The entries that are not in the rollup yet. Without memoize, whose table is made as large as it
-- may get before anything is read.
create or replace function ducto.usage_tail()
returns setof ducto.usage_entry
language sql
stable
rows 1000
security invoker
set search_path = pg_catalog, pg_temp
set enable_indexscan = on
set enable_hashjoin = off
set enable_mergejoin = off
set enable_memoize = off
set jit = off
as $$
    select e.*
    from ducto.credit_usage_entries e
    where e.id > coalesce((select s.settled_id from ducto.credit_usage_state s), 0)
        and e.id > coalesce((
            select w.rolled_id from ducto.credit_usage_watermarks w
            where w.account_id = e.account_id
        ), 0);
$$;

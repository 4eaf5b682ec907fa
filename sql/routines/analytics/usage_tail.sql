-- The entries that are not in the rollup yet.
create or replace function ducto.usage_tail(p_settled_id bigint)
returns setof ducto.usage_entry
language sql
stable
rows 1000
security invoker
set search_path = pg_catalog, pg_temp
set enable_indexscan = on
as $$
    select e.*
    from ducto.credit_usage_entries e
    where e.id > coalesce(p_settled_id, 0)
        and e.id > coalesce((
            select w.rolled_id from ducto.credit_usage_watermarks w
            where w.account_id = e.account_id
        ), 0);
$$;

-- Of a part of a window that no span covers: the entries that are in the rollup, but read from the
-- ledger. The offsets make that look-ups by id, whatever the planner thinks of it.
create or replace function ducto.usage_edges(
    p_state ducto.credit_usage_state,
    p_from timestamptz,
    p_to timestamptz
)
returns setof ducto.usage_entry
language sql
stable
rows 1000
security invoker
set search_path = pg_catalog, pg_temp
set enable_indexscan = on
set max_parallel_workers_per_gather = 0
set enable_memoize = off
set jit = off
as $$
    select e.*
    from (
        select distinct p.block * 64 as first_id
        from ducto.credit_usage_places p
        where p.hour_at >= ducto.usage_span(1, p_from) and p.hour_at < p_to
    ) p
    cross join lateral (
        select n.id, n.happened_at from ducto.credit_usage_entries n
        where n.id >= p.first_id and n.id < p.first_id + 64 offset 0
    ) k
    cross join lateral (
        select n.* from ducto.credit_usage_entries n where n.id = k.id offset 0
    ) e
    where k.happened_at >= p_from and k.happened_at < p_to
        and (e.id <= p_state.settled_id or e.id <= (
            select w.rolled_id from ducto.credit_usage_watermarks w
            where w.account_id = e.account_id
        ));
$$;

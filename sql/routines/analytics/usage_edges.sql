-- Of a part of a window that no span covers: the entries that are in the rollup, but read from the
-- ledger. The offsets make that look-ups by id, whatever the planner
-- thinks of it.
create or replace function ducto.usage_edges(
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
set enable_seqscan = off
set max_parallel_workers_per_gather = 0
set enable_memoize = off
set jit = off
as $$
    select e.*
    from (
        select p.block * 64 + b.number as id
        from ducto.credit_usage_places p
        join generate_series(0, 63) b (number) on p.ids & (1::bigint << b.number) <> 0
        where p.slot_at >= ducto.usage_slot(p_from) and p.slot_at < p_to
        offset 0
    ) k
    cross join lateral (
        select n.* from ducto.credit_usage_entries n
        where n.id = k.id and n.happened_at >= p_from and n.happened_at < p_to
        offset 0
    ) e;
$$;

-- What has been committed by now. Not the transaction that asks: the server's own snapshot counts
-- it as visible once a younger one has ended, and what it has yet to write would be skipped.
create or replace function ducto.committed_snapshot()
returns pg_snapshot
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case
        when o.own >= pg_snapshot_xmax(o.taken) then o.taken
        else format(
            '%s:%s:%s',
            least(pg_snapshot_xmin(o.taken)::text::numeric, o.own::text::numeric),
            pg_snapshot_xmax(o.taken),
            (
                select string_agg(x::text, ',' order by x)
                from (select pg_snapshot_xip(o.taken) union select o.own) as r (x)
            )
        )::pg_snapshot
    end
    from (select pg_current_snapshot(), pg_current_xact_id()) as o (taken, own);
$$;

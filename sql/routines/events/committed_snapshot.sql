-- What has been committed by now. Not the transaction that asks: the server's own snapshot counts
-- it as visible once a younger one has ended, and what it has yet to write would be skipped.
create or replace function ducto.committed_snapshot()
returns pg_snapshot
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_taken constant pg_snapshot := pg_current_snapshot();
    v_own constant xid8 := pg_current_xact_id();
begin
    if v_own >= pg_snapshot_xmax(v_taken) then
        return v_taken;
    end if;
    return format(
        '%s:%s:%s',
        least(pg_snapshot_xmin(v_taken)::text::numeric, v_own::text::numeric),
        pg_snapshot_xmax(v_taken),
        (
            select string_agg(r.x::text, ',' order by r.x)
            from (select pg_snapshot_xip(v_taken) union select v_own) as r (x)
        )
    )::pg_snapshot;
end
$$;

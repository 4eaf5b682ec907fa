-- Running transactions that have not written to the ledger, by their locks: what they may still
-- write has an id that is yet to be drawn.
create or replace function ducto.idle_writers()
returns setof xid
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select x.transactionid
    from (select * from pg_locks l where l.granted) as x
    where x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
        and not exists (
            select
            from pg_locks w
            where w.virtualtransaction = x.virtualtransaction
                and w.relation in (
                    'ducto.credit_transactions'::regclass, 'ducto.credit_events'::regclass
                )
                and w.database = (
                    select d.oid from pg_database d where d.datname = current_database()
                )
        );
$$;

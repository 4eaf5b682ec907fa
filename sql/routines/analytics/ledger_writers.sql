-- The other transactions that have written to the ledger, or are about to, and have not ended: an
-- insert locks the table before it draws an id, and until the transaction ends. A prepared one has
-- no session any more; which one it was cannot be told.
create or replace function ducto.ledger_writers()
returns text[]
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(
        case when l.pid is null then 'prepared' else l.virtualtransaction end
    ), '{}')
    from pg_locks l
    where l.locktype = 'relation'
        and l.database = (
            select d.oid from pg_database d where d.datname = current_database()
        )
        and l.relation = 'ducto.credit_transactions'::regclass
        and l.mode = 'RowExclusiveLock'
        and l.granted
        and l.pid is distinct from pg_backend_pid();
$$;

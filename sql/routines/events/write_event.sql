-- An event that no ledger row tells; it exists if and only if its transaction commits.
create or replace function ducto.write_event(
    p_account_id text,
    p_actor_id text,
    p_type text,
    p_now timestamptz,
    p_data jsonb
)
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    insert into ducto.credit_events (account_id, actor_id, type, data, created_at)
    values (p_account_id, p_actor_id, p_type, p_data, p_now);
$$;

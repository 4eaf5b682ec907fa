-- The last id that anything has drawn: whatever is visible to an older snapshot is not above it.
create or replace function ducto.last_event_id()
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(pg_sequence_last_value('ducto.credit_transactions_id_seq'), 0);
end
$$;

-- A ledger entry by its id, in constant time; raises DU008.
create or replace function ducto.find_transaction(p_transaction_id bigint)
returns ducto.entry
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    v_entry ducto.entry;
begin
    select t.* into v_entry from ducto.credit_transactions t where t.id = p_transaction_id;
    if not found then
        perform ducto.raise_error(
            'DU008', jsonb_build_object('transaction_id', p_transaction_id)
        );
    end if;
    return v_entry;
end
$$;

-- A key may be used again only for the same operation: null, else the conflict.
create or replace function ducto.check_fingerprint(
    p_entry ducto.credit_transactions,
    p_fingerprint bytea
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_entry.fingerprint = p_fingerprint then
        return null;
    end if;
    return ducto.failure('error', 'DU007', jsonb_build_object(
        'user_id', p_entry.account_id,
        'idempotency_key', p_entry.idempotency_key,
        'transaction_id', p_entry.id
    ));
end
$$;

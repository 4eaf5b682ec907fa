-- The result of the charge already written under a key; null: the key is new.
create or replace function ducto.find_replay(
    p_account ducto.credit_accounts,
    p_idempotency_key text,
    p_fingerprint bytea
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_entry ducto.credit_transactions;
begin
    select t.* into v_entry from ducto.credit_transactions t
    where t.account_id = p_account.account_id and t.idempotency_key = p_idempotency_key;
    if not found then
        return null;
    end if;
    return coalesce(
        ducto.check_fingerprint(v_entry, p_fingerprint),
        ducto.charge_result(v_entry, p_account.kind, true)
    );
end
$$;
comment on function ducto.find_replay(ducto.credit_accounts, text, bytea) is
    'Call it with the account locked: only then can nobody write the key in between.';

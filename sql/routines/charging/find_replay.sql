-- The entry already written under an idempotency key: null if the key is new; raises nothing,
-- so that a conflict in one charge of a batch does not spoil the others.
create or replace function ducto.find_replay(
    p_account_id text,
    p_idempotency_key text,
    p_fingerprint bytea,
    out entry ducto.credit_transactions,
    out failure jsonb
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
    select t.* into entry from ducto.credit_transactions t
    where t.account_id = p_account_id and t.idempotency_key = p_idempotency_key;
    if entry.fingerprint <> p_fingerprint then
        failure := ducto.failure('error', 'DU007', jsonb_build_object(
            'user_id', p_account_id,
            'idempotency_key', p_idempotency_key,
            'transaction_id', entry.id
        ));
    end if;
end
$$;
comment on function ducto.find_replay(text, text, bytea) is
    'Call it with the account locked: only then can nobody write the key in between.';

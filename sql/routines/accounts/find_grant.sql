-- The grant already written under a key; a signup bonus is found without one, because it is granted
-- once ever. A null entry: the grant is new. Raises DU007 where it was a different one.
create or replace function ducto.find_grant(
    p_account ducto.account,
    p_amount numeric,
    p_type text,
    p_idempotency_key text,
    p_fingerprint bytea
)
returns ducto.entry
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.entry := ducto.find_keyed(p_account, p_idempotency_key, p_fingerprint);
begin
    if v_entry.id is null and p_type = 'signup_bonus' then
        select t.* into v_entry
        from ducto.credit_lots l
        join ducto.credit_transactions t
            on t.account_id = l.account_id and t.id = l.transaction_id
        where l.account_id = p_account.account_id and l.kind = 'signup_bonus';
        if found and (p_idempotency_key is not null or v_entry.amount <> p_amount) then
            perform ducto.raise_error('DU007', jsonb_build_object(
                'user_id', p_account.account_id,
                'idempotency_key', p_idempotency_key,
                'transaction_id', v_entry.id,
                'message', format(
                    '%s has had a signup bonus: it is granted once.', p_account.account_id
                )
            ));
        end if;
    end if;
    return v_entry;
end
$$;
comment on function ducto.find_grant(ducto.account, numeric, text, text, bytea) is
    'Call it with the account locked.';

-- The first lock of every operation: one row, the account's, created on first touch.
create or replace function ducto.lock_account(p_account_id text)
returns ducto.credit_accounts
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_account ducto.credit_accounts;
begin
    if current_setting('transaction_isolation') = 'repeatable read' then
        perform ducto.raise_error('DU017', jsonb_build_object(
            'argument', 'transaction_isolation',
            'message', 'Under REPEATABLE READ a charge cannot see what other sessions charged.',
            'hint', 'Use READ COMMITTED, or SERIALIZABLE with retries.'
        ));
    end if;
    select a.* into v_account from ducto.credit_accounts a
    where a.account_id = p_account_id
    for no key update skip locked;
    if found then
        return v_account;
    end if;
    -- Contended or new. Waiters queue on the advisory lock instead of fighting for the row.
    perform pg_advisory_xact_lock(hashtextextended(p_account_id, 4207849484));
    select a.* into v_account from ducto.credit_accounts a
    where a.account_id = p_account_id
    for no key update;
    if not found then
        v_account := ducto.create_account(p_account_id);
    end if;
    return v_account;
end
$$;
comment on function ducto.lock_account(text) is
    'Locks and returns the account, creating a user account on first touch.';

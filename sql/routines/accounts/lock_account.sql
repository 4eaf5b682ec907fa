-- The first lock of every operation: one row, the account's, created on first touch.
create or replace function ducto.lock_account(p_account_id text)
returns ducto.credit_accounts
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.credit_accounts;
    v_isolation text := current_setting('transaction_isolation');
begin
    if v_isolation = 'repeatable read' then
        perform ducto.refuse_stale_snapshot();
    end if;
    select a.* into v_account from ducto.credit_accounts a
    where a.account_id = p_account_id
    for no key update skip locked;
    if not found then
        -- Contended or new. Waiters queue on the advisory lock instead of fighting for the row.
        perform pg_advisory_xact_lock(hashtextextended(p_account_id, 4207849484));
        select a.* into v_account from ducto.credit_accounts a
        where a.account_id = p_account_id
        for no key update;
        if not found then
            v_account := ducto.create_account(p_account_id);
        end if;
    end if;
    if v_isolation = 'serializable' then
        -- A charge writes lots, everything else writes the account: locking both, a snapshot
        -- that is older than another session's work fails to serialise, whatever that one used.
        perform from ducto.credit_lots l
        where l.account_id = p_account_id and l.live
        for no key update;
    end if;
    return v_account;
end
$$;
comment on function ducto.lock_account(text) is
    'Locks and returns the account, creating a user account on first touch.';

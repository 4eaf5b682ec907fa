-- Writes what an operation has changed of the locked account. The headroom stays closed.
create or replace function ducto.save_account(p_account ducto.account)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ducto.check_sums(p_account);
    update ducto.credit_accounts a set
        plan_key = p_account.plan_key,
        plan_since = p_account.plan_since,
        period_anchor = p_account.period_anchor,
        allowance_until = p_account.allowance_until,
        allowance_version = p_account.allowance_version,
        status = p_account.status,
        has_caps = p_account.has_caps,
        keyed_holds = p_account.keyed_holds,
        alerted_below = p_account.alerted_below,
        debt = p_account.debt,
        balance = p_account.balance,
        allowance = p_account.allowance,
        held = p_account.held,
        granted = p_account.granted,
        spent = p_account.spent,
        stale_at = p_account.stale_at
    where a.account_id = p_account.account_id;
end
$$;
comment on function ducto.save_account(ducto.account) is
    'Raises DU017 where a sum has left what can be stored.';

-- Writes down what time has changed: lapsed lots are booked, the period's allowance is granted.
-- Every operation that moves money does this first, so that the chain of entries has no gap.
create or replace function ducto.bring_up_to_date(
    p_account ducto.credit_accounts,
    p_now timestamptz
)
returns ducto.credit_accounts
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.credit_accounts := p_account;
    v ducto.assessment := ducto.assess(p_account, null, 0, null, p_now, null);
    v_terms ducto.terms := v.terms;
    v_lot ducto.lot;
    v_lapsed integer := (ducto.book_expiry(p_account.account_id, p_now)).lots;
begin
    if v_terms.allowance_due then
        foreach v_lot in array v_terms.due loop
            perform ducto.grant_due_lot(p_account, v_terms.plan_key, v_lot, p_now);
        end loop;
        update ducto.credit_accounts a set
            allowance_until = (ducto.account_period(p_account, v_terms, p_now)).period_end,
            allowance_version = v_terms.version
        where a.account_id = p_account.account_id
        returning a.* into v_account;
    end if;
    if v.thresholds <> '{}' and (v_lapsed > 0 or v_terms.allowance_due) then
        -- Credits that lapsed may leave little, a new allowance plenty.
        perform ducto.check_thresholds(
            v_account, v.thresholds, v.balance, v.allowance, p_now, v_lapsed > 0
        );
        select a.* into v_account from ducto.credit_accounts a
        where a.account_id = p_account.account_id;
    end if;
    return v_account;
end
$$;
comment on function ducto.bring_up_to_date(ducto.credit_accounts, timestamptz) is
    'Returns the locked account as it then is.';

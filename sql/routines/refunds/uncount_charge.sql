-- Takes a refund out of the running totals of the windows that its charge was counted in, and
-- re-arms the low-balance alert.
create or replace function ducto.uncount_charge(
    p_account ducto.credit_accounts,
    p_charge ducto.credit_transactions,
    p_amount numeric,
    p_refund ducto.credit_transactions
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_account.has_caps then
        update ducto.credit_spend_caps c set spent = greatest(c.spent - p_amount, 0)
        where c.account_id = p_charge.account_id
            and c.model in ('', p_charge.model)
            and c.window_start <= p_charge.created_at
            and c.window_end > p_charge.created_at;
    end if;
    if p_account.kind = 'team' then
        update ducto.credit_team_members m set spent = greatest(m.spent - p_amount, 0)
        where m.account_id = p_charge.account_id
            and m.user_id = p_charge.actor_id
            and m.window_start <= p_charge.created_at;
    end if;
    perform ducto.check_thresholds(
        p_account,
        (select c.low_balance_thresholds from ducto.credit_pricing_config c where c.active),
        p_refund.balance_after,
        ducto.read_allowance(p_charge.account_id),
        p_refund.created_at,
        false
    );
end
$$;

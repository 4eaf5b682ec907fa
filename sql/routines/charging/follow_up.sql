-- What few charges bring about: a debt, cap totals, a cap or a low balance to announce.
create or replace function ducto.follow_up(
    p_entry ducto.credit_transactions,
    p_assessment ducto.assessment,
    p_account ducto.credit_accounts
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_debt numeric := (p_entry.allocations -> -1 -> 'debt')::numeric;
begin
    if v_debt is not null then
        update ducto.credit_accounts a set debt = a.debt + v_debt
        where a.account_id = p_entry.account_id;
        perform ducto.write_event(
            p_entry.account_id, p_entry.actor_id, 'credits.overdraft', p_entry.created_at,
            jsonb_build_object(
                'transaction_id', p_entry.id,
                'debt_added', v_debt,
                'balance_after', trim_scale(p_entry.balance_after)
            )
        );
    end if;
    if p_account.has_caps and p_entry.amount < 0 then
        perform ducto.count_caps(
            p_entry.account_id, p_entry.model, -p_entry.amount, p_entry.created_at
        );
    end if;
    perform ducto.write_event(
        p_entry.account_id, p_entry.actor_id, e ->> 'type', p_entry.created_at, e -> 'data'
    ) from jsonb_array_elements(p_assessment.events) e;
    perform ducto.check_thresholds(
        p_account, p_assessment.thresholds, p_entry.balance_after,
        p_assessment.allowance - p_assessment.free, p_entry.created_at, true
    );
end
$$;
comment on function ducto.follow_up(
    ducto.credit_transactions, ducto.assessment, ducto.credit_accounts
) is
    'Called for a contested charge, and where low balances are watched.';

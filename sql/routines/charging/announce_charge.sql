-- The rare events of a charge: an overdraft, a cap crossed, a low balance.
create or replace function ducto.announce_charge(
    p_entry ducto.credit_transactions,
    p_assessment ducto.assessment,
    p_account ducto.credit_accounts
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_debt numeric := p_entry.allocations -> -1 -> 'debt';
begin
    if v_debt > 0 then
        perform ducto.write_event(
            p_entry.account_id, p_entry.actor_id, 'credits.overdraft', p_entry.created_at,
            jsonb_build_object(
                'transaction_id', p_entry.id,
                'debt_added', v_debt,
                'balance_after', trim_scale(p_entry.balance_after)
            )
        );
    end if;
    perform ducto.write_event(
        p_entry.account_id, p_entry.actor_id, e ->> 'type', p_entry.created_at, e -> 'data'
    ) from jsonb_array_elements(p_assessment.events) e;
    perform ducto.check_thresholds(
        p_account, (p_assessment.terms).thresholds, p_entry.balance_after,
        p_assessment.allowance - p_assessment.free, p_entry.created_at, true
    );
end
$$;

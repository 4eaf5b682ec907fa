-- Writes an assessed charge: lots and debt, cap totals, one ledger row, rare events.
create or replace function ducto.write_charge(
    p_account ducto.credit_accounts,
    p_actor_id text,
    p_assessment ducto.assessment,
    p_now timestamptz,
    p_metrics jsonb,
    p_idempotency_key text,
    p_fingerprint bytea,
    p_metadata jsonb,
    p_hold ducto.credit_reservations default null
)
returns ducto.credit_transactions
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_entry ducto.credit_transactions;
    v_terms ducto.terms := p_assessment.terms;
    v_debt numeric := (p_assessment.allocations -> -1 ->> 'debt')::numeric;
begin
    perform ducto.apply_allocations(p_account.account_id, p_assessment.allocations);
    if p_account.has_caps and p_assessment.amount > 0 then
        perform ducto.count_caps(
            p_account.account_id, p_assessment.model, p_assessment.amount, p_now,
            p_assessment.caps_lapsed
        );
    end if;
    insert into ducto.credit_transactions (
        account_id, actor_id, type, amount, balance_after, available_after, allowance_consumed,
        allocations, metrics, model, operation, breakdown, pricing_version, plan_key, warnings,
        idempotency_key, fingerprint, reservation_id, metadata, created_at
    ) values (
        p_account.account_id, p_actor_id, 'usage', -p_assessment.amount,
        p_assessment.balance_after, p_assessment.available_after, p_assessment.allowance_consumed,
        p_assessment.allocations, p_metrics, p_assessment.model, p_assessment.operation,
        p_assessment.breakdown, coalesce(p_hold.pricing_version, v_terms.version),
        case when p_hold.reservation_id is null then v_terms.plan_key else p_hold.plan_key end,
        nullif(p_assessment.warnings, '[]'), p_idempotency_key, p_fingerprint,
        p_hold.reservation_id, nullif(p_metadata, '{}'), p_now
    )
    returning * into v_entry;

    if v_debt > 0 then
        perform ducto.write_event(
            p_account.account_id, p_actor_id, 'credits.overdraft', p_now, jsonb_build_object(
                'transaction_id', v_entry.id,
                'debt_added', v_debt,
                'balance_after', trim_scale(v_entry.balance_after)
            )
        );
    end if;
    if p_assessment.events is not null then
        perform ducto.write_event(
            p_account.account_id, p_actor_id, e ->> 'type', p_now, e -> 'data'
        ) from jsonb_array_elements(p_assessment.events) e;
    end if;
    if v_terms.thresholds <> '{}' then
        perform ducto.check_thresholds(
            p_account, v_terms.thresholds, p_assessment.balance_after,
            p_assessment.allowance_after, p_now
        );
    end if;
    return v_entry;
end
$$;

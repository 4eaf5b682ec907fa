-- Writes an assessed charge. The ledger row comes first: inserting it claims the idempotency key,
-- and where the key has been used nothing is written at all.
create or replace function ducto.write_charge(
    p_assessment ducto.assessment,
    p_account ducto.credit_accounts,
    p_actor_id text,
    p_now timestamptz,
    p_metrics jsonb,
    p_idempotency_key text,
    p_fingerprint bytea,
    p_metadata jsonb,
    p_hold ducto.credit_reservations
)
returns ducto.credit_transactions
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v ducto.assessment := p_assessment;
    v_terms ducto.terms := p_assessment.terms;
    v_entry ducto.credit_transactions;
    v_item jsonb;
    v_amount numeric;
begin
    insert into ducto.credit_transactions (
        account_id, actor_id, type, amount, balance_after, available_after, allowance_consumed,
        allocations, metrics, model, operation, breakdown, pricing_version, plan_key, warnings,
        idempotency_key, fingerprint, reservation_id, metadata, created_at
    ) values (
        p_account.account_id, p_actor_id, 'usage', -v.amount, v.balance - v.amount,
        v.balance + v.allowance - v.held - v.cost + case
            when p_hold.reservation_id is null then 0
            when p_hold.status = 'settled' then p_hold.held
            else least(p_hold.held, v.cost)
        end, v.free,
        v.allocations, p_metrics, v.price ->> 'model',
        coalesce(p_hold.operation, p_metrics ->> 'operation'),
        v.price -> 'breakdown', coalesce(p_hold.pricing_version, v_terms.version),
        case when p_hold.reservation_id is null then v_terms.plan_key else p_hold.plan_key end, v.warnings,
        p_idempotency_key, p_fingerprint, p_hold.reservation_id, nullif(p_metadata, '{}'), p_now
    )
    on conflict (account_id, idempotency_key) where idempotency_key is not null do nothing
    returning * into v_entry;
    if not found then
        return null;
    end if;
    if v.allocations is not null then
        perform ducto.apply_allocations(p_account.account_id, v.allocations);
    end if;
    if p_account.has_caps and v.amount > 0 then
        perform ducto.count_caps(
            p_account.account_id, v_entry.model, v.amount, p_now
        );
    end if;
    if v.balance < v.amount or v.events is not null or v_terms.thresholds <> '{}' then
        perform ducto.announce_charge(v_entry, v, p_account);
    end if;
    return v_entry;
end
$$;
comment on function ducto.write_charge(
    ducto.assessment, ducto.credit_accounts, text, timestamptz, jsonb, text, bytea, jsonb,
    ducto.credit_reservations
) is
    'Returns the ledger row; null if the idempotency key has been used.';

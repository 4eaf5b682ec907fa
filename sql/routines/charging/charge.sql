-- The charge: lock, assess, decide, write. One pipeline behind every front door. It returns
-- denials and errors instead of raising them, so that one item of a batch cannot spoil the rest.
-- Kept in few routines on purpose: each nested call costs a charge about two percent.
create or replace function ducto.charge(
    p_account_id text,
    p_actor_id text,
    p_operation text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_hold ducto.credit_reservations default null
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_account ducto.credit_accounts;
    v_entry ducto.credit_transactions;
    v_fingerprint bytea;
    v_now timestamptz;
    v_operation text := coalesce(p_hold.operation, p_metrics ->> 'operation');
    v ducto.assessment;
    v_failure jsonb := ducto.check_arguments(
        p_account_id, p_idempotency_key, p_metadata, p_metrics
    );
begin
    if v_failure is null and p_metrics is null then
        v_failure := ducto.check_amount('p_amount', p_amount);
    end if;
    if v_failure is not null then
        return v_failure;
    end if;
    v_account := ducto.lock_account(p_account_id);
    v_now := ducto.now();
    v := ducto.assess(v_account, p_metrics, p_amount, v_operation, v_now, p_hold);
    if v.stale then
        v_account := ducto.bring_up_to_date(v_account, v_now);
        v := ducto.assess(v_account, p_metrics, p_amount, v_operation, v_now, p_hold);
    end if;
    if v.failure is null and (
        v.balance + v.allowance - v.held - v.cost < (v.terms).floor
        or v_account.has_caps
        or v_account.status <> 'active'
        or (v.terms).missing_feature is not null
        or (v.terms).plan_missing
    ) then
        v := ducto.decide(v, v_account, v_now);
        if p_hold.reservation_id is not null then
            v.failure := null;
        end if;
    end if;
    if p_idempotency_key is not null then
        v_fingerprint := sha256(convert_to(concat_ws(
            e'\x1f', p_operation, p_account_id, p_actor_id, p_metrics, trim_scale(p_amount)
        ), 'UTF8'));
    end if;
    if v.failure is null then
        v_entry := ducto.write_charge(
            v, v_account, p_actor_id, v_now, p_metrics, p_idempotency_key, v_fingerprint,
            p_metadata, p_hold
        );
    end if;
    if v_entry.id is null then
        -- Not written: a used key replays its first result, even if the charge would now fail.
        return coalesce(
            ducto.find_replay(v_account, p_idempotency_key, v_fingerprint), v.failure
        );
    end if;
    return ducto.charge_result(v_entry, v_account.kind, false);
end
$$;
comment on function ducto.charge(
    text, text, text, jsonb, numeric, text, jsonb, ducto.credit_reservations
) is
    'Charges p_metrics, or p_amount where they are null, of p_actor_id to p_account_id; with '
    'p_hold, settles it: at its pinned price, and without denial.';

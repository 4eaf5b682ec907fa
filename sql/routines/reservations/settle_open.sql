-- Settles an open hold, wholly or in part. A key that has already charged a part of it replays.
create or replace function ducto.settle_open(
    p_account ducto.account,
    p_hold ducto.reservation,
    p_metrics jsonb,
    p_amount numeric,
    p_final boolean,
    p_idempotency_key text,
    p_metadata jsonb,
    p_now timestamptz
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := p_account;
    v_hold ducto.reservation := p_hold;
    v_terms ducto.terms;
    v_amount numeric := coalesce(p_amount, case when p_metrics is null
        then ducto.rest_of_hold(p_hold, p_idempotency_key) end);
    v_result jsonb := ducto.check_charge(
        p_account.account_id, p_metrics, v_amount, p_idempotency_key, p_metadata, null
    );
begin
    if v_result is not null then
        return v_result;
    end if;
    if v_hold.expires_at <= p_now then
        -- Within the grace: it may be settled, but sets nothing aside any more.
        v_hold.held := 0;
        v_hold.capped := 0;
        v_hold.counted := false;
    end if;
    v_hold.status := case when p_final then 'settled' else 'active' end;
    v_terms := ducto.read_terms(
        p_account, coalesce(v_hold.operation, p_metrics ->> 'operation'), p_now
    );
    if p_now >= v_account.stale_at or v_terms.allowance_due then
        v_account := ducto.bring_up_to_date(v_account, v_terms, p_now);
    end if;
    v_result := ducto.charge_in_full(
        v_account, v_terms,
        -- At the version and plan of the hold, where there was a version.
        ducto.draft_price(
            p_metrics, v_amount, coalesce(v_hold.pricing_version, nullif(v_terms.version, 0)),
            case when v_hold.pricing_version is null then v_terms.plan_key
                else v_hold.plan_key end
        ),
        v_hold.actor_id, p_metrics, v_amount, p_idempotency_key, p_metadata, null, v_hold, p_now
    );
    if p_final and (v_result -> 'replayed')::boolean then
        -- The hold is open, so what the key wrote was a part of it, not this settlement.
        return ducto.key_conflict(
            v_hold.account_id, p_idempotency_key, (v_result -> 'transaction_id')::bigint
        );
    end if;
    return v_result;
end
$$;

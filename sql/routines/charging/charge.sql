-- The charge: lock, replay check, assess, write. One pipeline behind every front door. It returns
-- denials and errors instead of raising them, so that one item of a batch cannot spoil the rest.
create or replace function ducto.charge(
    p_account_id text,
    p_actor_id text,
    p_operation text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_account ducto.credit_accounts;
    v_fingerprint bytea;
    v_replay record;
    v_now timestamptz;
    v ducto.assessment;
    v_failure jsonb := ducto.check_charge(
        p_account_id, p_metrics, p_amount, p_idempotency_key, p_metadata
    );
begin
    if v_failure is not null then
        return v_failure;
    end if;
    v_account := ducto.lock_account(p_account_id);
    if p_idempotency_key is not null then
        v_fingerprint := ducto.fingerprint(
            p_operation, p_account_id, p_actor_id, p_metrics::text, trim_scale(p_amount)::text
        );
        v_replay := ducto.find_replay(p_account_id, p_idempotency_key, v_fingerprint);
        if v_replay.failure is not null then
            return v_replay.failure;
        elsif (v_replay.entry).id is not null then
            return ducto.charge_result(v_replay.entry, v_account.kind, true);
        end if;
    end if;

    v_now := ducto.now();
    v := ducto.assess(v_account, p_metrics, p_amount, p_metrics ->> 'operation', v_now);
    if v.failure is not null then
        return v.failure;
    end if;
    if v.stale then
        v_account := ducto.bring_up_to_date(v_account, v_now);
        v := ducto.assess(v_account, p_metrics, p_amount, p_metrics ->> 'operation', v_now);
    end if;
    return ducto.charge_result(
        ducto.write_charge(
            v_account, p_actor_id, v, v_now, p_metrics, p_idempotency_key, v_fingerprint,
            p_metadata
        ),
        v_account.kind,
        false
    );
end
$$;
comment on function ducto.charge(text, text, text, jsonb, numeric, text, jsonb) is
    'Charges p_metrics, or p_amount where they are null, of p_actor_id to p_account_id.';

-- A charge that its headroom did not settle: its key is used, so that what was drawn goes back and
-- the first result is replayed; or the headroom was closed, and opening it is all that is missing;
-- or something must be decided, in full.
create or replace function ducto.charge_otherwise(
    p_account_id text,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_occurred_at timestamptz,
    p_drawn numeric,
    p_opened boolean
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure jsonb := coalesce(
        case when p_actor_id is distinct from p_account_id
            then ducto.check_payer(p_account_id, p_actor_id) end,
        ducto.check_charge(
            p_account_id, p_metrics, p_amount, p_idempotency_key, p_metadata, p_occurred_at
        )
    );
    v_account ducto.account;
    v_terms ducto.terms;
    v_now timestamptz;
begin
    if v_failure is not null then
        return v_failure;
    elsif p_drawn is not null then
        update ducto.credit_accounts a set
            drawn = a.drawn - p_drawn, headroom = a.headroom + p_drawn
        where a.account_id = p_account_id
        returning a.* into v_account;
        return coalesce(
            ducto.find_replay(v_account, p_actor_id, p_metrics, p_amount, null, p_occurred_at,
                p_idempotency_key),
            ducto.check_hold_key(p_account_id, p_idempotency_key, null)
        );
    end if;
    v_account := ducto.lock_account(p_account_id);
    v_now := ducto.now();
    if not p_opened and v_account.status = 'active' and v_account.debt = 0 then
        v_terms := ducto.read_terms(v_account, null, v_now);
        if v_now >= v_account.stale_at or v_terms.allowance_due then
            v_account := ducto.bring_up_to_date(v_account, v_terms, v_now);
        end if;
        if ducto.open_headroom(v_account, v_terms, v_now) then
            return ducto.charge(
                p_account_id, p_actor_id, p_metrics, p_amount, p_idempotency_key, p_metadata,
                p_occurred_at, null, true
            );
        end if;
    end if;
    return ducto.charge_in_full(
        v_account, p_actor_id, p_metrics, p_amount, p_idempotency_key, p_metadata,
        p_occurred_at, null, v_now
    );
end
$$;
comment on function ducto.charge_otherwise(
    text, text, jsonb, numeric, text, jsonb, timestamptz, numeric, boolean
) is
    'As ducto.charge, returning anything; p_drawn: what was already taken from the headroom.';

-- A charge was taken out of the headroom before its key turned out to be used: gives back what was
-- drawn, and answers as the first use of the key did.
create or replace function ducto.replay_drawn(
    p_account_id text,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_occurred_at timestamptz,
    p_idempotency_key text,
    p_drawn numeric
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
begin
    update ducto.credit_accounts a set
        drawn = a.drawn - p_drawn,
        headroom = a.headroom + p_drawn
    where a.account_id = p_account_id
    returning a.* into v_account;
    return coalesce(
        ducto.find_replay(
            v_account, p_actor_id, p_metrics, p_amount, null, p_occurred_at, p_idempotency_key
        ),
        ducto.check_hold_key(p_account_id, p_idempotency_key, null)
    );
end
$$;

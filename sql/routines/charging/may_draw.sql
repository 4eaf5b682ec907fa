-- What a charge within the headroom checks only where it carries more than metrics and a key.
-- Volatile, so that the update that asks, where it has waited for the account's row, sees the keys
-- of holds as they then are.
create or replace function ducto.may_draw(
    p_account_id text,
    p_metrics jsonb,
    p_idempotency_key text,
    p_metadata jsonb,
    p_occurred_at timestamptz
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return ducto.check_charge(
            p_account_id, p_metrics, null, p_idempotency_key, p_metadata, p_occurred_at
        ) is null
        and ducto.check_hold_key(p_account_id, p_idempotency_key, null) is null
        and (not p_metrics ? 'operation' or jsonb_typeof(p_metrics -> 'operation') = 'string'
            and length(p_metrics ->> 'operation') between 1 and 200);
end
$$;

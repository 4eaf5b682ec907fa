-- The result of the charge already written under a key; null: the key is new. The stored row is
-- what the key stands for: anything but the same charge again is a conflict.
create or replace function ducto.find_replay(
    p_account ducto.account,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_reservation_id uuid,
    p_occurred_at timestamptz,
    p_idempotency_key text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    v_entry ducto.entry;
begin
    if p_idempotency_key is null then
        return null;
    end if;
    -- The first key from here on: in this order only the index of keys has them, so that an empty
    -- table's statistics cannot choose the other one.
    select t.* into v_entry from ducto.credit_transactions t
    where t.account_id = p_account.account_id and t.idempotency_key >= p_idempotency_key
    order by t.idempotency_key
    limit 1;
    if (v_entry.idempotency_key = p_idempotency_key) is not true then
        return null;
    elsif v_entry.type = 'usage'
        and v_entry.actor_id = p_actor_id
        and v_entry.metrics is not distinct from p_metrics
        and v_entry.reservation_id is not distinct from p_reservation_id
        and v_entry.occurred_at is not distinct from p_occurred_at
        and (p_metrics is not null or v_entry.allowance_consumed - v_entry.amount = p_amount)
    then
        return ducto.charge_result(v_entry, p_account.kind, true);
    end if;
    return ducto.key_conflict(p_account.account_id, p_idempotency_key, v_entry.id);
end
$$;
comment on function ducto.find_replay(
    ducto.account, text, jsonb, numeric, uuid, timestamptz, text
) is
    'Call it with the account locked: only then can nobody write the key in between.';

-- The result of the hold already taken under a key; null: the key is new.
create or replace function ducto.find_hold_replay(
    p_account ducto.account,
    p_hold ducto.reservation
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
    v_first ducto.reservation;
    v_entry_id bigint;
begin
    select r.* into v_first from ducto.credit_reservations r
    where r.account_id = p_account.account_id and r.idempotency_key = p_hold.idempotency_key;
    if found and v_first.fingerprint = p_hold.fingerprint then
        return ducto.hold_result(v_first, p_account, true);
    elsif found then
        return ducto.key_conflict(
            p_account.account_id, p_hold.idempotency_key, null, v_first.reservation_id
        );
    end if;
    select t.id into v_entry_id from ducto.credit_transactions t
    where t.account_id = p_account.account_id and t.idempotency_key = p_hold.idempotency_key;
    return case when found
        then ducto.key_conflict(p_account.account_id, p_hold.idempotency_key, v_entry_id) end;
end
$$;

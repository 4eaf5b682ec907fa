-- A key names one operation of an account, holds included: null where no hold carries it but
-- p_hold, whose settlement may use it too. Volatile, so that an update that asks, where it has
-- waited for the account's row, sees the keys of holds as they then are.
create or replace function ducto.check_hold_key(
    p_account_id text,
    p_idempotency_key text,
    p_hold_id uuid
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hold_id uuid;
begin
    select r.reservation_id into v_hold_id from ducto.credit_reservations r
    where r.account_id = p_account_id and r.idempotency_key = p_idempotency_key
        and r.reservation_id is distinct from p_hold_id;
    return case when found
        then ducto.key_conflict(p_account_id, p_idempotency_key, null, v_hold_id) end;
end
$$;

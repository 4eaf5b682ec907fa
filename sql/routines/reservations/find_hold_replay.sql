-- The result of the hold already taken under a key; null: the key is new.
create or replace function ducto.find_hold_replay(
    p_account ducto.credit_accounts,
    p_hold ducto.credit_reservations,
    p_now timestamptz
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_first ducto.credit_reservations;
begin
    select r.* into v_first from ducto.credit_reservations r
    where r.account_id = p_account.account_id and r.idempotency_key = p_hold.idempotency_key;
    if not found then
        return null;
    elsif v_first.fingerprint <> p_hold.fingerprint then
        return ducto.failure('error', 'DU007', jsonb_build_object(
            'user_id', p_account.account_id,
            'idempotency_key', p_hold.idempotency_key,
            'reservation_id', v_first.reservation_id
        ));
    end if;
    return ducto.hold_result(v_first, p_account, p_now, true);
end
$$;

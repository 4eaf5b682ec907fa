-- Finds a hold and locks its account, in this order because the account is always locked first.
create or replace function ducto.lock_hold(p_reservation_id uuid)
returns ducto.credit_reservations
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account_id text;
    v_hold ducto.credit_reservations;
begin
    select r.account_id into v_account_id from ducto.credit_reservations r
    where r.reservation_id = p_reservation_id;
    if not found then
        perform ducto.raise_error(
            'DU010', jsonb_build_object('reservation_id', p_reservation_id)
        );
    end if;
    perform ducto.lock_account(v_account_id);
    select r.* into v_hold from ducto.credit_reservations r
    where r.account_id = v_account_id and r.reservation_id = p_reservation_id;
    return v_hold;
end
$$;

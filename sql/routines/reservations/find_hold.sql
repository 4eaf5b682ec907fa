-- A hold of the locked account.
create or replace function ducto.find_hold(p_account_id text, p_reservation_id uuid)
returns ducto.reservation
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hold ducto.reservation;
begin
    select r.* into v_hold from ducto.credit_reservations r
    where r.account_id = p_account_id and r.reservation_id = p_reservation_id;
    return v_hold;
end
$$;

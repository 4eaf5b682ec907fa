-- The account of a hold; raises DU010. The account is locked before its hold is read.
create or replace function ducto.hold_account(p_reservation_id uuid)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account_id text;
begin
    select r.account_id into v_account_id from ducto.credit_reservations r
    where r.reservation_id = p_reservation_id;
    if not found then
        perform ducto.raise_error(
            'DU010', jsonb_build_object('reservation_id', p_reservation_id)
        );
    end if;
    return v_account_id;
end
$$;

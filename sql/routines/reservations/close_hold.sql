-- Ends a hold of the locked account: settled, released or expired.
create or replace function ducto.close_hold(
    p_hold ducto.credit_reservations,
    p_status text,
    p_now timestamptz
)
returns ducto.credit_reservations
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hold ducto.credit_reservations;
begin
    update ducto.credit_reservations r set status = p_status, held = 0, closed_at = p_now
    where r.account_id = p_hold.account_id and r.reservation_id = p_hold.reservation_id
    returning * into v_hold;
    update ducto.credit_accounts a set open_holds = a.open_holds - 1
    where a.account_id = p_hold.account_id;
    if p_status <> 'settled' then
        perform ducto.write_event(
            p_hold.account_id, p_hold.actor_id, 'credits.reservation_' || p_status, p_now,
            jsonb_build_object(
                'reservation_id', p_hold.reservation_id,
                'amount', trim_scale(p_hold.amount),
                'freed', trim_scale(p_hold.held)
            )
        );
    end if;
    return v_hold;
end
$$;

-- Ends a hold of the locked account that sets nothing aside any more: settled, released or expired.
create or replace function ducto.close_hold(
    p_hold ducto.reservation,
    p_status text,
    p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    update ducto.credit_reservations r set
        status = p_status, held = 0, counted = false, closed_at = p_now
    where r.account_id = p_hold.account_id and r.reservation_id = p_hold.reservation_id;
    if p_status <> 'settled' then
        perform ducto.write_event(
            p_hold.account_id, p_hold.actor_id, 'credits.reservation_' || p_status, p_now,
            jsonb_build_object(
                'reservation_id', p_hold.reservation_id,
                'amount', trim_scale(p_hold.amount),
                'freed', trim_scale(greatest(p_hold.amount - p_hold.charged, 0))
            )
        );
    end if;
end
$$;

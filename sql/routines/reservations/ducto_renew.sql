create or replace function public.ducto_renew(
    p_reservation_id uuid,
    p_ttl_seconds integer default 600
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_hold ducto.reservation;
    v_now timestamptz;
begin
    if (p_ttl_seconds between 1 and 604800) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_ttl_seconds', 'A hold lasts 1 to 604800 seconds.'
        ));
    end if;
    v_account := ducto.lock_account(ducto.hold_account(p_reservation_id));
    v_now := ducto.now();
    v_hold := ducto.find_hold(v_account.account_id, p_reservation_id);
    if v_hold.status <> 'active' or v_hold.expires_at <= v_now then
        perform ducto.raise_error('DU011', jsonb_build_object(
            'reservation_id', p_reservation_id,
            'user_id', v_hold.actor_id,
            'state', case when v_hold.status = 'active' then 'expired' else v_hold.status end,
            'closed_at', coalesce(v_hold.closed_at, v_hold.expires_at)
        ));
    end if;
    v_hold.expires_at := v_now + make_interval(secs => p_ttl_seconds);
    update ducto.credit_reservations r set expires_at = v_hold.expires_at
    where r.account_id = v_hold.account_id and r.reservation_id = p_reservation_id;
    v_account.stale_at := least(v_account.stale_at, v_hold.expires_at);
    perform ducto.save_account(v_account);
    return ducto.hold_result(
        v_hold, ducto.foresee(v_account, ducto.read_terms(v_account, null, v_now), v_now), false
    );
end
$$;
comment on function public.ducto_renew(uuid, integer) is
    'Moves the deadline of an open hold to p_ttl_seconds (1 to 604800) from now. Errors: DU010, '
    'DU011, DU017. Callers: service, admin. Idempotent but for the deadline.';

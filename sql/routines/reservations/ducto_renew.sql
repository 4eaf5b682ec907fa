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
    v_hold ducto.credit_reservations;
    v_now timestamptz;
begin
    if (p_ttl_seconds between 1 and 604800) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_ttl_seconds', 'A hold lasts 1 to 604800 seconds.'
        ));
    end if;
    v_hold := ducto.lock_hold(p_reservation_id);
    v_now := ducto.now();
    if v_hold.status <> 'active' or v_hold.expires_at <= v_now then
        perform ducto.raise_error('DU011', jsonb_build_object(
            'reservation_id', p_reservation_id,
            'user_id', v_hold.actor_id,
            'state', case when v_hold.status = 'active' then 'expired' else v_hold.status end,
            'closed_at', coalesce(v_hold.closed_at, v_hold.expires_at)
        ));
    end if;
    update ducto.credit_reservations r set
        expires_at = v_now + make_interval(secs => p_ttl_seconds)
    where r.account_id = v_hold.account_id and r.reservation_id = p_reservation_id
    returning * into v_hold;
    -- Changes nothing, but shows SERIALIZABLE transactions that the account has changed.
    update ducto.credit_accounts a set open_holds = a.open_holds
    where a.account_id = v_hold.account_id;
    return ducto.hold_result(v_hold, ducto.find_account(v_hold.account_id), v_now, false);
end
$$;
comment on function public.ducto_renew(uuid, integer) is
    'Moves the deadline of an open hold to p_ttl_seconds (1 to 604800) from now. Errors: DU010, '
    'DU011, DU017. Callers: service, admin. Idempotent but for the deadline.';

create or replace function public.ducto_release(p_reservation_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.lock_account(ducto.hold_account(p_reservation_id));
    v_now timestamptz := ducto.now();
    v_hold ducto.reservation;
    v_replayed boolean;
begin
    v_hold := ducto.find_hold(v_account.account_id, p_reservation_id);
    v_replayed := v_hold.status <> 'active';
    if v_hold.status = 'settled' then
        perform ducto.raise_error('DU011', jsonb_build_object(
            'reservation_id', p_reservation_id,
            'user_id', v_hold.actor_id,
            'state', v_hold.status,
            'closed_at', v_hold.closed_at
        ));
    elsif v_hold.status = 'active' then
        v_account := ducto.uncount_hold(v_account, v_hold, v_hold.held);
        perform ducto.close_hold(
            v_hold, case when v_hold.expires_at <= v_now then 'expired' else 'released' end, v_now
        );
        v_hold := ducto.find_hold(v_account.account_id, p_reservation_id);
        perform ducto.save_account(v_account);
    end if;
    return ducto.hold_result(
        v_hold, ducto.foresee(v_account, ducto.read_terms(v_account, null, v_now), v_now),
        v_replayed
    );
end
$$;
comment on function public.ducto_release(uuid) is
    'Frees what a hold still sets aside. A hold already released or expired stays as it is; a '
    'settled one is refused. Errors: DU010, DU011. Callers: service, admin. Idempotent.';

create or replace function public.ducto_settle(
    p_reservation_id uuid,
    p_metrics jsonb default null,
    p_amount numeric default null,
    p_final boolean default true,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_raise boolean default true
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
    v_result jsonb;
begin
    if p_final is not false and p_idempotency_key is null and p_metadata = '{}'
        and (p_amount is null or p_metrics is null)
    then
        v_result := ducto.settle_headroom(p_reservation_id, p_metrics, p_amount);
        if v_result is not null then
            return v_result || jsonb_build_object('reservation_id', p_reservation_id);
        end if;
    end if;
    v_account := ducto.lock_account(ducto.hold_account(p_reservation_id));
    v_hold := ducto.find_hold(v_account.account_id, p_reservation_id);
    v_now := ducto.now();
    if p_metrics is not null and p_amount is not null then
        v_result := ducto.invalid('p_amount', 'Settle with metrics or with an amount, not both.');
    elsif v_hold.status = 'active'
        and (v_hold.expires_at > v_now or v_hold.expires_at + ducto.settle_grace() > v_now)
    then
        v_result := ducto.settle_open(
            v_account, v_hold, p_metrics, p_amount, coalesce(p_final, true), p_idempotency_key,
            p_metadata, v_now
        );
    else
        v_result := ducto.settle_closed(
            v_hold, v_account, p_metrics, p_amount, p_idempotency_key
        );
    end if;
    if v_result ->> 'status' = 'ok' then
        return v_result || jsonb_build_object('reservation_id', p_reservation_id);
    end if;
    return ducto.finish(v_result, v_hold.account_id, v_hold.actor_id, p_raise);
end
$$;
comment on function public.ducto_settle(
    uuid, jsonb, numeric, boolean, text, jsonb, boolean
) is
    'Charges what a hold was taken for: p_metrics at the hold''s pinned price, p_amount, or the '
    'rest of the hold. Less than the hold frees the rest; more takes the difference from what is '
    'available above the floor, and the remainder becomes debt. p_final false charges a part and '
    'keeps the rest held. After the deadline (and the configured grace) it is refused with DU011; '
    'with p_raise false the refusal is returned and leaves a credits.unbilled_usage event. '
    'Errors: DU004, DU007, DU010, DU011, DU017, DU018, DU022. Callers: service, admin. '
    'Idempotent: a final settlement by its reservation, a partial one by p_idempotency_key.';

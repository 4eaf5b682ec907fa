-- Every settlement that ducto_settle does not make by itself.
create or replace function ducto.settle(
    p_reservation_id uuid,
    p_metrics jsonb,
    p_amount numeric,
    p_final boolean,
    p_idempotency_key text,
    p_metadata jsonb,
    p_raise boolean
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.lock_account(ducto.hold_account(p_reservation_id));
    v_hold ducto.reservation := ducto.find_hold(v_account.account_id, p_reservation_id);
    v_now timestamptz := ducto.now();
    v_result jsonb;
begin
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
comment on function ducto.settle(uuid, jsonb, numeric, boolean, text, jsonb, boolean) is
    'The result of ducto_settle, and its arguments.';

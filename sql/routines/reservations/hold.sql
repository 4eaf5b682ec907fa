-- Takes a hold on the locked account, by the rules that a charge of the same cost would meet.
create or replace function ducto.hold(
    p_account ducto.credit_accounts,
    p_hold ducto.credit_reservations,
    p_amount numeric,
    p_required_feature text,
    p_now timestamptz
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.credit_accounts := p_account;
    v_hold ducto.credit_reservations := p_hold;
    v_metrics jsonb := case when p_amount is null then p_hold.metrics end;
    v_replay jsonb;
    v ducto.assessment;
begin
    v_hold.fingerprint := sha256(convert_to(concat_ws(
        e'\x1f', 'reserve', p_account.account_id, p_hold.operation, p_hold.metrics,
        trim_scale(p_amount)
    ), 'UTF8'));
    if p_hold.idempotency_key is not null then
        v_replay := ducto.find_hold_replay(p_account, v_hold, p_now);
        if v_replay is not null then
            return v_replay;
        end if;
    end if;
    perform ducto.close_lapsed_holds(p_account.account_id, p_now);
    v := ducto.assess(v_account, v_metrics, p_amount, v_hold.operation, p_now, null);
    if v.stale then
        v_account := ducto.bring_up_to_date(v_account, p_now);
        v := ducto.assess(v_account, v_metrics, p_amount, v_hold.operation, p_now, null);
    end if;
    if v.failure is null then
        v := ducto.decide_hold(v, v_account, v_hold, p_required_feature, p_now);
    end if;
    if v.failure is not null then
        return v.failure;
    end if;
    insert into ducto.credit_reservations (
        account_id, actor_id, amount, held, operation, expires_at, pricing_version, plan_key,
        floor, metrics, idempotency_key, fingerprint, metadata, created_at
    ) values (
        v_account.account_id, v_hold.actor_id, v.cost, v.cost, v_hold.operation,
        v_hold.expires_at, v.version, v.plan_key,
        coalesce(v_hold.floor, v.floor), v_hold.metrics, v_hold.idempotency_key,
        v_hold.fingerprint, v_hold.metadata, p_now
    )
    returning * into v_hold;
    update ducto.credit_accounts a set open_holds = a.open_holds + 1
    where a.account_id = v_account.account_id
    returning * into v_account;
    perform ducto.write_event(
        v_hold.account_id, v_hold.actor_id, 'credits.reserved', p_now, jsonb_build_object(
            'reservation_id', v_hold.reservation_id,
            'amount', trim_scale(v_hold.amount),
            'expires_at', v_hold.expires_at
        )
    );
    return ducto.hold_result(v_hold, v_account, p_now, false);
end
$$;

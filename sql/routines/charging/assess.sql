-- Decides a charge before anything is written: price, caps, floor, lots. Deductions, quotes,
-- holds and settlements all come through here, so none of them can disagree.
create or replace function ducto.assess(
    p_account ducto.credit_accounts,
    p_metrics jsonb,
    p_amount numeric,
    p_operation text,
    p_now timestamptz,
    p_hold ducto.credit_reservations default null
)
returns ducto.assessment
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v ducto.assessment;
    v_terms ducto.terms := ducto.read_terms(p_account, p_operation);
    v_position ducto.position;
    v_price jsonb;
    v_held numeric;
begin
    v.operation := p_operation;
    v_price := ducto.price_charge(v_terms, p_metrics, p_amount, p_hold);
    if v_price ? 'code' then
        v.failure := ducto.failure('error', v_price ->> 'code', v_price -> 'detail');
        return v;
    end if;
    v.cost := (v_price -> 'cost')::numeric;
    v.breakdown := v_price -> 'breakdown';
    v.model := v_price ->> 'model';
    v.warnings := v_price -> 'warnings';
    if v_terms.plan_missing then
        v.warnings := v.warnings || jsonb_build_object(
            'code', 'plan_missing', 'plan_key', p_account.plan_key
        );
    end if;

    v_position := ducto.read_position(p_account, v_terms, p_now);
    v_held := v_position.held - coalesce(p_hold.held, 0);
    v.stale := v_position.stale;
    v.allowance_consumed := least(v.cost, v_position.allowance);
    v.amount := v.cost - v.allowance_consumed;
    v.allowance_after := v_position.allowance - v.allowance_consumed;
    v.balance_after := v_position.balance - v.amount;
    v.available_after := v_position.balance + v_position.allowance - v_held - v.cost;
    v.terms := v_terms;

    if p_account.has_caps then
        v := ducto.check_caps(v, p_account.account_id, p_now);
    end if;
    if p_hold.reservation_id is null then
        v.failure := coalesce(
            ducto.check_entitlement(p_account, v_terms, p_operation),
            v.failure,
            -- A charge that the free part of the allowance pays needs no balance.
            case when v.cost > greatest(v_position.allowance - v_held, 0)
                and v.available_after < v_terms.floor
            then ducto.failure('denied', 'DU002', jsonb_build_object(
                'user_id', p_account.account_id,
                'required', trim_scale(v.cost),
                'available', trim_scale(v.available_after + v.cost),
                'balance', trim_scale(v_position.balance),
                'allowance_remaining', trim_scale(v_position.allowance),
                'held', trim_scale(v_held),
                'floor', trim_scale(v_terms.floor)
            )) end
        );
    else
        v.failure := null;
    end if;
    v.allocations := ducto.draw(v_position.lots, v.cost);
    return v;
end
$$;
comment on function ducto.assess(
    ducto.credit_accounts, jsonb, numeric, text, timestamptz, ducto.credit_reservations
) is
    'What charging p_metrics (or p_amount) to p_account would do at p_now. Settling p_hold is never '
    'denied: what no lot can pay becomes debt.';

-- Decides what a charge would do, before anything is written. Deductions, quotes, holds and
-- settlements all come through here, so none of them can disagree. What counts is decided by
-- predicate: a lapsed lot does not, an allowance that is due does, written down or not.
create or replace function ducto.assess(
    p_account ducto.credit_accounts,
    p_metrics jsonb,
    p_amount numeric,
    p_operation text,
    p_now timestamptz,
    p_hold ducto.credit_reservations
)
returns ducto.assessment
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.assessment;
    v_price jsonb;
    v_cost numeric;
    v_free numeric;
    v_balance numeric := -p_account.debt;
    v_allowance numeric := 0.0;
    v_held numeric := 0.0;
    v_version integer;
    v_plan_key text;
    v_floor numeric;
    v_thresholds numeric[];
    v_allocations jsonb;
    v_stale boolean;
    v_contested boolean;
    v_terms ducto.terms;
    v_lot record;
    v_left numeric;
    v_take numeric;
begin
    select c.version, coalesce(p_account.plan_key, c.default_plan_key), c.min_balance,
        c.low_balance_thresholds
    into v_version, v_plan_key, v_floor, v_thresholds
    from ducto.credit_pricing_config c where c.active;
    if v_plan_key is not null then
        v_terms := ducto.read_plan(v_version, v_plan_key, p_account, p_operation, p_now);
        v_plan_key := v_terms.plan_key;
        v_floor := coalesce(v_terms.floor, v_floor);
        v_stale := v_terms.allowance_due;
        v_contested := v_terms.plan_missing or v_terms.missing_feature is not null;
    end if;
    if p_metrics is null or v_version is null or p_hold.reservation_id is not null then
        v_price := ducto.price_otherwise(p_metrics, p_amount, p_hold, v_version, v_plan_key);
    else
        v_price := ducto.price_usage(v_version, v_plan_key, p_metrics);
    end if;
    v_cost := (v_price -> 'cost')::numeric;
    if v_cost is null then
        v.failure := ducto.failure('error', v_price ->> 'code', v_price -> 'detail');
        return v;
    end if;
    v_left := v_cost;
    -- The order of consumption: allowance first, then priority, soonest expiry (never last),
    -- promotional before paid, oldest first.
    for v_lot in
        select l.lot_id, l.kind = 'allowance' as free, l.remaining, l.expires_at
        from ducto.credit_lots l
        where l.account_id = p_account.account_id and l.live and l.effective_at <= p_now
        order by free desc, l.priority, l.expires_at nulls last, l.category desc, l.lot_id
    loop
        if v_lot.expires_at <= p_now then
            v_stale := true;
            continue;
        elsif v_lot.free then
            v_allowance := v_allowance + v_lot.remaining;
        else
            v_balance := v_balance + v_lot.remaining;
        end if;
        if v_left > 0 then
            v_take := least(v_lot.remaining, v_left);
            v_left := v_left - v_take;
            v_allocations := coalesce(v_allocations, '[]')
                || jsonb_build_object('lot', v_lot.lot_id, 'amount', -trim_scale(v_take));
        end if;
    end loop;
    if v_terms.due <> '{}' then
        select d.balance - p_account.debt, d.allowance, d.allocations, d.unpaid
        into v_balance, v_allowance, v_allocations, v_left
        from ducto.draw_due(p_account.account_id, v_terms.due, v_cost, p_now) d;
    end if;
    if v_left > 0 then
        v_allocations := coalesce(v_allocations, '[]')
            || jsonb_build_object('debt', trim_scale(v_left));
    end if;
    v_free := least(v_cost, v_allowance);
    if p_account.open_holds > 0 then
        v_held := ducto.read_held(p_account.account_id, p_now, p_hold, v_cost);
    end if;
    v_floor := coalesce(v_floor, 0);
    v_contested := v_contested or p_account.has_caps or p_account.status <> 'active'
        or v_left > 0 or v_balance + v_allowance - v_held - v_cost < v_floor;
    return row(
        null, v_price, v_cost, v_free, v_cost - v_free, v_balance, v_allowance, v_held,
        coalesce(p_hold.pricing_version, v_version),
        case when p_hold.pricing_version is null then v_plan_key else p_hold.plan_key end,
        v_floor, v_thresholds, v_allocations, v_stale, v_contested,
        nullif(v_price -> 'warnings', '[]'), null, v_terms
    )::ducto.assessment;
end
$$;
comment on function ducto.assess(
    ducto.credit_accounts, jsonb, numeric, text, timestamptz, ducto.credit_reservations
) is
    'What charging p_metrics (or p_amount) to p_account at p_now would do, or settling '
    'p_hold. What no lot can pay is debt.';

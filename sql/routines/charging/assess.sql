-- Decides a charge before anything is written: price, lots, caps, floor. Deductions, quotes,
-- holds and settlements all come through here, so none of them can disagree. What counts is
-- decided by predicate: a lapsed lot does not, an allowance that is due does, written or not.
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
set search_path = ''
as $$
declare
    v_terms ducto.terms := ducto.read_terms(p_account, p_operation, p_now);
    v_price jsonb;
    v_cost numeric;
    v_left numeric;
    v_take numeric;
    v_lot record;
    v_balance numeric := -p_account.debt;
    v_allowance numeric := 0;
    v_free numeric := 0;
    v_held numeric := 0;
    v_allocations jsonb;
    v_stale boolean := v_terms.allowance_due;
begin
    if p_metrics is null or v_terms.version is null or p_hold.reservation_id is not null then
        v_price := ducto.price_otherwise(p_metrics, p_amount, p_hold, v_terms);
    else
        v_price := ducto.price_usage(v_terms.version, v_terms.plan_key, p_metrics);
    end if;
    v_cost := v_price -> 'cost';
    v_left := v_cost;
    if v_cost is null then
        return row(
            ducto.failure('error', v_price ->> 'code', v_price -> 'detail'),
            null, null, null, null, null, null, null, null, null, null, null, null
        )::ducto.assessment;
    end if;
    -- The order of consumption, and the only place that knows it: allowance first, then priority,
    -- soonest expiry (never last), promotional before paid, oldest first.
    for v_lot in
        select l.lot_id, l.kind = 'allowance' as free, l.remaining, l.expires_at, l.priority,
            l.category, l.created_at
        from ducto.credit_lots l
        where l.account_id = p_account.account_id and l.live and l.effective_at <= p_now
        union all
        select null, d.kind = 'allowance', d.remaining, d.expires_at, d.priority, d.category,
            d.created_at
        from unnest(v_terms.due) d
        order by free desc, priority, expires_at nulls last, category desc, created_at, lot_id
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
    v_free := least(v_cost, v_allowance);
    if p_account.open_holds > 0 then
        v_held := ducto.read_held(p_account.account_id, p_now);
    end if;
    return row(
        null, v_price, v_cost, v_free, v_cost - v_free, v_balance, v_allowance, v_held,
        case when v_left > 0 then
            coalesce(v_allocations, '[]') || jsonb_build_object('debt', trim_scale(v_left))
        else v_allocations end,
        v_stale, nullif(v_price -> 'warnings', '[]'), null, v_terms
    )::ducto.assessment;
end
$$;
comment on function ducto.assess(
    ducto.credit_accounts, jsonb, numeric, text, timestamptz, ducto.credit_reservations
) is
    'What charging p_metrics (or p_amount) to p_account would take at p_now, and what it takes it '
    'from; ducto.decide says whether it may. What no lot can pay is debt.';

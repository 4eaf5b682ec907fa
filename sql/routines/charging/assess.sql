-- Decides what a charge would do, before anything is written. Deductions, quotes, holds and
-- settlements all come through here, so none of them can disagree. What counts is decided by
-- predicate: a lapsed lot does not, an allowance that is due does, written down or not.
create or replace function ducto.assess(
    p_account ducto.credit_accounts,
    p_metrics jsonb,
    p_amount numeric,
    p_operation text,
    p_now timestamptz,
    p_hold ducto.credit_reservations,
    out failure jsonb,
    out price jsonb,
    out cost numeric,
    out free numeric,
    out amount numeric,
    out balance numeric,
    out allowance numeric,
    out held numeric,
    out version integer,
    out plan_key text,
    out floor numeric,
    out thresholds numeric[],
    out allocations jsonb,
    out stale boolean,
    out contested boolean,
    out warnings jsonb,
    out events jsonb,
    out terms ducto.terms
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_lot record;
    v_left numeric;
    v_take numeric;
begin
    select c.version, coalesce(p_account.plan_key, c.default_plan_key), c.min_balance,
        c.low_balance_thresholds
    into version, plan_key, floor, thresholds
    from ducto.credit_pricing_config c where c.active;
    if plan_key is not null then
        terms := ducto.read_plan(version, plan_key, p_account, p_operation, p_now);
        plan_key := terms.plan_key;
        floor := coalesce(terms.floor, floor);
        stale := terms.allowance_due;
        contested := terms.plan_missing or terms.missing_feature is not null;
    end if;
    if p_metrics is null or version is null or p_hold.reservation_id is not null then
        price := ducto.price_otherwise(p_metrics, p_amount, p_hold, version, plan_key);
    else
        price := ducto.price_usage(version, plan_key, p_metrics);
    end if;
    cost := price -> 'cost';
    if cost is null then
        failure := ducto.failure('error', price ->> 'code', price -> 'detail');
        return;
    end if;

    balance := -p_account.debt;
    allowance := 0;
    held := 0;
    v_left := cost;
    -- The order of consumption, and the only place that knows it: allowance first, then priority,
    -- soonest expiry (never last), promotional before paid, oldest first.
    for v_lot in
        select l.lot_id, l.kind = 'allowance' as free, l.remaining, l.expires_at, l.priority,
            l.category
        from ducto.credit_lots l
        where l.account_id = p_account.account_id and l.live and l.effective_at <= p_now
        union all
        select null, d.kind = 'allowance', d.remaining, d.expires_at, d.priority, d.category
        from unnest(terms.due) d
        order by free desc, priority, expires_at nulls last, category desc, lot_id
    loop
        if v_lot.expires_at <= p_now then
            stale := true;
            continue;
        elsif v_lot.free then
            allowance := allowance + v_lot.remaining;
        else
            balance := balance + v_lot.remaining;
        end if;
        if v_left > 0 then
            v_take := least(v_lot.remaining, v_left);
            v_left := v_left - v_take;
            allocations := coalesce(allocations, '[]')
                || jsonb_build_object('lot', v_lot.lot_id, 'amount', -trim_scale(v_take));
        end if;
    end loop;
    if v_left > 0 then
        allocations := coalesce(allocations, '[]') || jsonb_build_object('debt', trim_scale(v_left));
    end if;
    free := least(cost, allowance);
    amount := cost - free;
    if p_account.open_holds > 0 then
        held := ducto.read_held(p_account.account_id, p_now, p_hold, cost);
    end if;
    floor := coalesce(floor, 0);
    contested := contested or p_account.has_caps or p_account.status <> 'active'
        or v_left > 0 or balance + allowance - held - cost < floor;
    warnings := nullif(price -> 'warnings', '[]');
end
$$;
comment on function ducto.assess(
    ducto.credit_accounts, jsonb, numeric, text, timestamptz, ducto.credit_reservations
) is
    'A ducto.assessment of charging p_metrics (or p_amount) to p_account at p_now, or of settling '
    'p_hold. What no lot can pay is debt.';

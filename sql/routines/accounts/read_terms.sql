-- What the active pricing and the account's plan say: floor, thresholds, features, and whether the
-- period's allowance has still to be granted.
create or replace function ducto.read_terms(
    p_account ducto.account,
    p_operation text,
    p_now timestamptz
)
returns ducto.terms
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.terms;
    v_min_balance numeric;
    v_plan_key text;
    v_plan record;
begin
    -- A plan is assigned, or the default of users; a team has none of its own accord.
    select c.version, c.min_balance, c.min_balance, c.min_balance, c.low_balance_thresholds,
        '{}'::jsonb, false, false, false, coalesce(
            p_account.plan_key, case when p_account.kind = 'user' then c.default_plan_key end
        )
    into v.version, v_min_balance, v.floor, v.floor_max, v.thresholds,
        v.features, v.plan_missing, v.policies, v.allowance_due, v_plan_key
    from ducto.credit_pricing_config c
    where c.active;
    if not found then
        return row(
            0, null, false, 0, 0, '{}', '{}', null, null, false, false, null, null, null, null,
            null, null
        )::ducto.terms;
    elsif v_plan_key is null then
        return v;
    end if;
    select p.plan_key, p.free_allowance, p.period, p.period_anchor, p.rollover_max, p.features,
        p.billing_mode, p.overdraft_floor, p.max_concurrent, p.per_operation
    into v_plan
    from ducto.credit_plans p
    where p.version = v.version and p.plan_key = v_plan_key;
    if not found then
        -- A plan that a later version dropped: base prices, no allowance, and a warning.
        v.plan_missing := true;
        return v;
    end if;
    v.plan_key := v_plan.plan_key;
    v.features := v_plan.features;
    v.free_allowance := v_plan.free_allowance;
    v.period := v_plan.period;
    v.anchored := v_plan.period_anchor = 'account';
    v.rollover_max := v_plan.rollover_max;
    v.max_concurrent := v_plan.max_concurrent;
    v.allowance_due := (
        p_account.allowance_until > p_now and p_account.allowance_version = v.version
    ) is not true;
    if v_plan.billing_mode = 'overdraft' then
        -- Overdraft without a floor has no limit short of what an amount can be.
        v.floor := coalesce(v_plan.overdraft_floor, -1e25);
        v.floor_max := v.floor;
    end if;
    if v_plan.per_operation <> '{}' then
        v.policies := true;
        return ducto.apply_policy(v, v_plan.per_operation, p_operation, v_plan.billing_mode,
            v_plan.overdraft_floor, v_min_balance);
    end if;
    return v;
end
$$;
comment on function ducto.read_terms(ducto.account, text, timestamptz) is
    'The terms of one operation of the account; p_operation null: of none in particular.';

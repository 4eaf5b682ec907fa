-- What the active pricing and the account's plan say, in one look: floor, thresholds, features, and
-- whether the period's allowance has still to be granted.
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
    v_plan record;
begin
    -- A plan is assigned, or the default of users; a team has none of its own accord.
    select c.version, c.min_balance, c.low_balance_thresholds,
        coalesce(p_account.plan_key, case when p_account.kind = 'user'
            then c.default_plan_key end) as wanted,
        p.plan_key, p.free_allowance, p.period, p.period_anchor, p.rollover_max, p.features,
        p.billing_mode, p.overdraft_floor, p.max_concurrent, p.per_operation
    into v_plan
    from ducto.credit_pricing_config c
    left join ducto.credit_plans p
        on p.version = c.version and p.plan_key = coalesce(
            p_account.plan_key, case when p_account.kind = 'user' then c.default_plan_key end
        )
    where c.active;
    v.version := coalesce(v_plan.version, 0);
    v.floor := coalesce(v_plan.min_balance, 0);
    v.floor_max := v.floor;
    v.thresholds := coalesce(v_plan.low_balance_thresholds, '{}');
    v.features := '{}';
    v.feature_policy := false;
    v.policies := false;
    v.allowance_due := false;
    v.plan_missing := false;
    if v_plan.plan_key is null then
        -- A plan that a later version dropped: base prices, no allowance, and a warning.
        v.plan_missing := v_plan.wanted is not null;
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
            v_plan.overdraft_floor, v_plan.min_balance);
    end if;
    return v;
end
$$;
comment on function ducto.read_terms(ducto.account, text, timestamptz) is
    'The terms of one operation of the account; p_operation null: of none in particular.';

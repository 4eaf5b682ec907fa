-- What the pricing and the plan say about one operation of one account, in one look-up.
create or replace function ducto.read_terms(
    p_account ducto.credit_accounts,
    p_operation text,
    p_now timestamptz
)
returns ducto.terms
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_terms ducto.terms;
    v_plan ducto.credit_plans;
    v_policy jsonb;
    v_feature text;
begin
    select c.version, c.min_balance, c.low_balance_thresholds,
        coalesce(p_account.plan_key, c.default_plan_key)
    into v_terms.version, v_terms.floor, v_terms.thresholds, v_terms.plan_key
    from ducto.credit_pricing_config c where c.active;
    v_terms.floor := coalesce(v_terms.floor, 0);
    if v_terms.plan_key is null or p_account.kind = 'team' then
        v_terms.plan_key := null;
        return v_terms;
    end if;

    select p.* into v_plan from ducto.credit_plans p
    where p.version = v_terms.version and p.plan_key = v_terms.plan_key;
    if not found then
        -- A plan that a later version dropped: base prices, no allowance, and a warning.
        v_terms.plan_missing := true;
        v_terms.plan_key := null;
        return v_terms;
    end if;
    v_policy := v_plan.per_operation -> p_operation;
    if coalesce(v_policy ->> 'billing_mode', v_plan.billing_mode) = 'overdraft' then
        -- Overdraft without a floor has no limit short of what an amount can be.
        v_terms.floor := coalesce(
            (v_policy ->> 'overdraft_floor')::numeric, v_plan.overdraft_floor, -1e25
        );
    end if;
    v_terms.allowance_due := (
        p_account.allowance_until > p_now and p_account.allowance_version = v_terms.version
    ) is not true;
    v_terms.free_allowance := v_plan.free_allowance;
    v_terms.period := v_plan.period;
    v_terms.anchored := v_plan.period_anchor = 'account';
    v_terms.rollover_max := v_plan.rollover_max;
    v_terms.max_concurrent := v_plan.max_concurrent;
    v_terms.max_concurrent_operation := v_policy ->> 'max_concurrent';
    v_feature := v_policy ->> 'required_feature';
    if v_feature is not null and not ducto.has_feature(v_plan.features, v_feature) then
        v_terms.missing_feature := v_feature;
    end if;
    if v_terms.allowance_due then
        v_terms.due := ducto.due_lots(p_account, v_terms, p_now);
    end if;
    return v_terms;
end
$$;
comment on function ducto.read_terms(ducto.credit_accounts, text, timestamptz) is
    'Floor, thresholds, allowance and policy that the active pricing version and the account''s '
    'plan give an operation; all null while nothing is published.';

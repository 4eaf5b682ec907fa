-- What an account's plan says: the allowance that is due, the floor, the policy of an operation.
create or replace function ducto.read_plan(
    p_version integer,
    p_plan_key text,
    p_account ducto.credit_accounts,
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
    v_terms ducto.terms;
    v_plan ducto.credit_plans;
    v_policy jsonb;
begin
    v_terms.version := p_version;
    if p_account.kind = 'team' then
        return v_terms;
    end if;
    select p.* into v_plan from ducto.credit_plans p
    where p.version = p_version and p.plan_key = p_plan_key;
    if not found then
        -- A plan that a later version dropped: base prices, no allowance, and a warning.
        v_terms.plan_missing := true;
        return v_terms;
    end if;
    v_terms.plan_key := p_plan_key;
    v_terms.allowance_due := (
        p_account.allowance_until > p_now and p_account.allowance_version = p_version
    ) is not true;
    v_terms.free_allowance := v_plan.free_allowance;
    v_terms.period := v_plan.period;
    v_terms.anchored := v_plan.period_anchor = 'account';
    v_terms.rollover_max := v_plan.rollover_max;
    if v_terms.allowance_due then
        v_terms.due := ducto.due_lots(p_account, v_terms, p_now);
    end if;
    if v_plan.billing_mode = 'overdraft' or p_operation is not null then
        v_policy := v_plan.per_operation -> p_operation;
        if coalesce(v_policy ->> 'billing_mode', v_plan.billing_mode) = 'overdraft' then
            -- Overdraft without a floor has no limit short of what an amount can be.
            v_terms.floor := coalesce(
                (v_policy -> 'overdraft_floor')::numeric, v_plan.overdraft_floor, -1e25
            );
        end if;
        v_terms.max_concurrent_operation := (v_policy -> 'max_concurrent')::integer;
        if not ducto.has_feature(v_plan.features, v_policy ->> 'required_feature') then
            v_terms.missing_feature := v_policy ->> 'required_feature';
        end if;
    end if;
    v_terms.max_concurrent := v_plan.max_concurrent;
    return v_terms;
end
$$;
comment on function ducto.read_plan(
    integer, text, ducto.credit_accounts, text, timestamptz
) is
    'What the plan of a version says about p_operation; a team has no plan.';

-- The plan an account is on, with what is left of its period's allowance.
create or replace function ducto.plan_object(p_account_id text, p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.find_account(p_account_id);
    v_terms ducto.terms := ducto.read_terms(v_account, null, p_now);
    v_plan ducto.credit_plans;
    v_period record;
begin
    select p.* into v_plan from ducto.credit_plans p
    where p.version = v_terms.version and p.plan_key = v_terms.plan_key;
    v_account := ducto.foresee(v_account, v_terms, p_now);
    v_period := ducto.account_period(v_account, v_terms, p_now);
    return jsonb_build_object(
        'user_id', p_account_id,
        'plan_key', v_terms.plan_key,
        'name', v_plan.name,
        'assigned', v_account.plan_key is not null,
        'free_allowance', trim_scale(v_plan.free_allowance),
        'allowance_remaining', trim_scale(v_account.allowance),
        'period', v_plan.period,
        'period_start', v_period.period_start,
        'period_end', v_period.period_end,
        'features', coalesce(v_plan.features, '{}'),
        'pricing_version', nullif(v_terms.version, 0)
    );
end
$$;

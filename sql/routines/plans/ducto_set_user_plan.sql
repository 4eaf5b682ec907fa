create or replace function public.ducto_set_user_plan(
    p_user_id text,
    p_plan_key text,
    p_period_anchor timestamptz default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_plan ducto.credit_plans;
    v_now timestamptz;
    v_before text;
    v_failure jsonb := ducto.check_arguments(p_user_id, null, null, null);
begin
    if (coalesce(p_period_anchor, 'epoch') between '0001-01-01 00:00Z' and '9999-12-31 00:00Z')
        is not true
    then
        v_failure := ducto.invalid('p_period_anchor', 'The anchor must be an instant of our era.');
    end if;
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_plan := ducto.find_plan(p_plan_key);
    v_account := ducto.lock_account(p_user_id);
    v_now := ducto.now();
    v_before := v_account.plan_key;
    -- The old plan's period first: what it has granted counts against what the new one grants.
    v_account := ducto.bring_up_to_date(
        v_account, ducto.read_terms(v_account, null, v_now), v_now
    );
    if v_before is distinct from p_plan_key then
        v_account.plan_since := v_now;
    end if;
    v_account.plan_key := p_plan_key;
    v_account.period_anchor := coalesce(
        p_period_anchor, v_account.period_anchor,
        case when v_plan.period_anchor = 'account' then v_now end
    );
    v_account.allowance_until := null;
    perform ducto.save_account(v_account);
    perform ducto.bring_up_to_date(v_account, ducto.read_terms(v_account, null, v_now), v_now);
    if v_before is distinct from p_plan_key then
        perform ducto.write_event(
            p_user_id, p_user_id, 'credits.plan_changed', v_now,
            jsonb_build_object('plan_key', p_plan_key, 'previous_plan_key', v_before)
        );
    end if;
    return ducto.plan_object(p_user_id, v_now) || jsonb_build_object('previous_plan_key', v_before);
end
$$;
comment on function public.ducto_set_user_plan(text, text, timestamptz) is
    'Moves a user to a plan of the active pricing (null: to the default plan, if there is one). '
    'Within a period the new plan grants at most what it allows beyond what the period has already '
    'granted. p_period_anchor: the first instant of the account''s own periods, for plans with '
    'period_anchor "account" (now, if it has none). Errors: DU014, DU017. Callers: service, admin. '
    'Idempotent.';

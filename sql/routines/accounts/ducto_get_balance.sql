create or replace function public.ducto_get_balance(p_user_id text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.find_account(p_user_id);
    v_now timestamptz := ducto.now();
    v_terms ducto.terms := ducto.read_terms(v_account, null, v_now);
begin
    v_account := ducto.foresee(v_account, v_terms, v_now);
    return jsonb_build_object(
        'user_id', p_user_id,
        'balance', trim_scale(v_account.balance),
        'allowance_remaining', trim_scale(v_account.allowance),
        'held', trim_scale(v_account.held),
        'available', trim_scale(v_account.balance + v_account.allowance - v_account.held),
        'debt', trim_scale(v_account.debt),
        'plan_key', coalesce(v_terms.plan_key, v_account.plan_key),
        'status', v_account.status,
        'lifetime_granted', trim_scale(v_account.granted),
        'lifetime_spent', trim_scale(v_account.spent)
    );
end
$$;
comment on function public.ducto_get_balance(text) is
    'What an account has: balance (live lots less debt), allowance left in the period, credits '
    'held, and available = balance + allowance_remaining - held. An account never touched has '
    'nothing yet. Errors: DU017. Callers: service, admin, reader.';

create or replace function public.ducto_get_balance(p_user_id text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.credit_accounts := ducto.find_account(p_user_id);
    v ducto.assessment := ducto.assess(v_account, null, 0, null, ducto.now(), null);
    v_granted numeric;
    v_spent numeric;
begin
    -- From the lots, which grow with grants, not from the ledger, which grows with charges.
    select
        coalesce(sum(l.amount) filter (where l.kind <> 'refund'), 0),
        coalesce(sum(l.amount - l.remaining - l.forfeited), 0)
            - coalesce(sum(l.amount) filter (where l.kind = 'refund'), 0)
            + v_account.debt - v_account.adjusted
    into v_granted, v_spent
    from ducto.credit_lots l
    where l.account_id = p_user_id and l.kind <> 'allowance';
    return jsonb_build_object(
        'user_id', p_user_id,
        'balance', trim_scale(v.balance),
        'allowance_remaining', trim_scale(v.allowance),
        'held', trim_scale(v.held),
        'available', trim_scale(v.balance + v.allowance - v.held),
        'debt', trim_scale(v_account.debt),
        'plan_key', coalesce(v.plan_key, v_account.plan_key),
        'status', v_account.status,
        'lifetime_granted', trim_scale(v_granted),
        'lifetime_spent', trim_scale(v_spent)
    );
end
$$;
comment on function public.ducto_get_balance(text) is
    'What an account has: balance (live lots less debt), allowance left in the period, credits '
    'held, and available = balance + allowance_remaining - held. An account never touched has '
    'nothing yet. Callers: service, admin, reader.';

create or replace function public.ducto_get_available(p_user_id text)
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
        'available', trim_scale(v_account.balance + v_account.allowance - v_account.held),
        'balance', trim_scale(v_account.balance),
        'allowance_remaining', trim_scale(v_account.allowance),
        'held', trim_scale(v_account.held),
        'floor', trim_scale(v_terms.floor)
    );
end
$$;
comment on function public.ducto_get_available(text) is
    'What a charge could take now, were the floor 0: balance + allowance_remaining - held. '
    'Errors: DU017. Callers: service, admin, reader.';

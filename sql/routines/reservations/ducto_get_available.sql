create or replace function public.ducto_get_available(p_user_id text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.assessment := ducto.assess(
        ducto.find_account(p_user_id), null, 0, null, ducto.now(), null
    );
begin
    return jsonb_build_object(
        'user_id', p_user_id,
        'available', trim_scale(v.balance + v.allowance - v.held),
        'balance', trim_scale(v.balance),
        'allowance_remaining', trim_scale(v.allowance),
        'held', trim_scale(v.held),
        'floor', trim_scale(v.floor)
    );
end
$$;
comment on function public.ducto_get_available(text) is
    'What a charge could take now, were the floor 0: balance + allowance_remaining - held. '
    'Callers: service, admin, reader.';

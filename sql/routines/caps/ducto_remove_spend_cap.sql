create or replace function public.ducto_remove_spend_cap(
    p_user_id text,
    p_cap_type text,
    p_model text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_removed boolean;
    v_failure jsonb := coalesce(
        ducto.check_arguments(p_user_id, null, null, null),
        ducto.check_cap(p_cap_type, 'deny', p_model)
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_account := ducto.lock_account(p_user_id);
    delete from ducto.credit_spend_caps c
    where c.account_id = p_user_id
        and c.cap_type = p_cap_type
        and c.model = coalesce(p_model, '');
    v_removed := found;
    v_account.has_caps := exists (
        select from ducto.credit_spend_caps c where c.account_id = p_user_id
    );
    perform ducto.save_account(v_account);
    return jsonb_build_object(
        'user_id', p_user_id, 'cap_type', p_cap_type, 'model', p_model, 'removed', v_removed
    );
end
$$;
comment on function public.ducto_remove_spend_cap(text, text, text) is
    'Removes a cap; removed is false when there was none. Errors: DU017. Callers: service, admin. '
    'Idempotent.';

-- May this account do this operation at all: null, else the denial.
create or replace function ducto.check_entitlement(
    p_account ducto.credit_accounts,
    p_terms ducto.terms,
    p_operation text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
    if p_account.status = 'frozen' then
        return ducto.failure(
            'denied', 'DU019', jsonb_build_object('user_id', p_account.account_id)
        );
    elsif p_terms.missing_feature is not null then
        return ducto.failure('denied', 'DU013', jsonb_build_object(
            'user_id', p_account.account_id,
            'feature', p_terms.missing_feature,
            'plan_key', p_terms.plan_key,
            'operation', p_operation
        ));
    end if;
    return null;
end
$$;

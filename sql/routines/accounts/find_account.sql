-- The account as it is, or as it would be on first touch: reading never creates one.
create or replace function ducto.find_account(p_account_id text)
returns ducto.credit_accounts
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.credit_accounts;
begin
    select a.* into v_account from ducto.credit_accounts a where a.account_id = p_account_id;
    if not found then
        v_account.account_id := p_account_id;
        v_account.kind := 'user';
        v_account.debt := 0;
        v_account.adjusted := 0;
        v_account.status := 'active';
        v_account.has_caps := false;
        v_account.open_holds := 0;
        v_account.created_at := ducto.now();
        v_account.plan_since := v_account.created_at;
    end if;
    return v_account;
end
$$;

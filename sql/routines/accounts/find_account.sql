-- The account as it is, or as it would be on first touch: reading never creates one. What charges
-- have drawn is taken into account, as if it were already written.
create or replace function ducto.find_account(p_account_id text)
returns ducto.account
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
begin
    if (length(p_account_id) between 1 and 200) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_user_id', 'The user id must have 1 to 200 characters.'
        ));
    end if;
    select a.* into v_account from ducto.accounts_now a where a.account_id = p_account_id;
    if not found then
        v_account.account_id := p_account_id;
        v_account.kind := 'user';
        v_account.status := 'active';
        v_account.has_caps := false;
        v_account.keyed_holds := false;
        v_account.created_at := ducto.now();
        v_account.plan_since := v_account.created_at;
        v_account.debt := 0;
        v_account.balance := 0;
        v_account.allowance := 0;
        v_account.held := 0;
        v_account.granted := 0;
        v_account.spent := 0;
        v_account.drawn := 0;
        v_account.stale_at := 'infinity';
    end if;
    return v_account;
end
$$;
comment on function ducto.find_account(text) is
    'Raises DU017 for an id that no account can have.';

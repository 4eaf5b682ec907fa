-- A user account comes into being on first touch; the signup bonus is granted then, once ever.
create or replace function ducto.create_account(p_account_id text)
returns ducto.credit_accounts
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.credit_accounts;
    v_now timestamptz := ducto.now();
    v_bonus numeric;
begin
    insert into ducto.credit_accounts (account_id, created_at, plan_since)
    values (p_account_id, v_now, v_now)
    on conflict do nothing
    returning * into v_account;
    if not found then
        select a.* into v_account from ducto.credit_accounts a
        where a.account_id = p_account_id
        for no key update;
        return v_account;
    end if;
    select c.signup_bonus into v_bonus from ducto.credit_pricing_config c where c.active;
    if v_bonus > 0 then
        perform ducto.grant_credits(
            v_account, v_now, v_bonus, 'signup_bonus', null, null, null, null, null, '{}'
        );
        select a.* into v_account from ducto.credit_accounts a
        where a.account_id = p_account_id;
    end if;
    return v_account;
end
$$;
comment on function ducto.create_account(text) is
    'Creates a user account, with the active pricing''s signup bonus, and leaves it locked.';

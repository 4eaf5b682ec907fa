-- A user account comes into being on first touch; the signup bonus is granted then, once ever.
create or replace function ducto.create_account(p_account_id text)
returns ducto.account
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_now timestamptz := ducto.now();
    v_bonus numeric;
    v_thresholds numeric[];
begin
    insert into ducto.credit_accounts as a (account_id, created_at, plan_since)
    values (p_account_id, v_now, v_now)
    on conflict do nothing
    returning a.* into v_account;
    if not found then
        return ducto.lock_account(p_account_id);
    end if;
    select c.signup_bonus, c.low_balance_thresholds into v_bonus, v_thresholds
    from ducto.credit_pricing_config c where c.active;
    if v_bonus > 0 then
        v_account := (ducto.grant_credits(
            v_account, v_now, v_bonus, 'signup_bonus', null, null, null, null, null, '{}'
        )).account;
        v_account.alerted_below := ducto.check_thresholds(
            v_account, v_thresholds, v_now, false
        );
        perform ducto.save_account(v_account);
    end if;
    return v_account;
end
$$;
comment on function ducto.create_account(text) is
    'Creates a user account, with the active pricing''s signup bonus, and leaves it locked.';

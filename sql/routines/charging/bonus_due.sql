-- The signup bonus that comes with an account on first touch; 0 where the account exists.
create or replace function ducto.bonus_due(p_account_id text)
returns numeric
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((
        select c.signup_bonus from ducto.credit_pricing_config c
        where c.active and not exists (
            select from ducto.credit_accounts a where a.account_id = p_account_id
        )
    ), 0);
end
$$;

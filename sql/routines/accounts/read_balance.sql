-- The balance as written: call it with the account locked and its lapsed lots booked.
create or replace function ducto.read_balance(p_account_id text)
returns numeric
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((
        select sum(l.remaining) from ducto.credit_lots l
        where l.account_id = p_account_id and l.live and l.kind <> 'allowance'
    ), 0) - coalesce((
        select a.debt from ducto.credit_accounts a where a.account_id = p_account_id
    ), 0);
$$;

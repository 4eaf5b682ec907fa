-- The allowance as written: call it with the account locked and brought up to date.
create or replace function ducto.read_allowance(p_account_id text)
returns numeric
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(sum(l.remaining), 0) from ducto.credit_lots l
    where l.account_id = p_account_id and l.live and l.kind = 'allowance';
$$;

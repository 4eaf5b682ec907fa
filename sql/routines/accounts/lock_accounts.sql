-- Locks many accounts in one pass and one order, those that first touch creates among them, so that
-- operations that share accounts cannot deadlock.
create or replace function ducto.lock_accounts(p_account_ids text[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account_id text;
begin
    for v_account_id in
        select distinct i collate "C" from unnest(p_account_ids) i order by 1
    loop
        perform ducto.lock_account(v_account_id);
    end loop;
end
$$;

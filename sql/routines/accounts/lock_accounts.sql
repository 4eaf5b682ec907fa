-- Locks many accounts in one order, so that batches that share accounts cannot deadlock: first
-- those that exist, then those that first touch creates.
create or replace function ducto.lock_accounts(p_account_ids text[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_locked text[];
    v_account_id text;
begin
    if current_setting('transaction_isolation') = 'read committed' then
        v_locked := array(
            select a.account_id from ducto.credit_accounts a
            where a.account_id = any (p_account_ids)
            order by a.account_id collate "C"
            for no key update
        );
    end if;
    for v_account_id in
        select i from unnest(p_account_ids) i
        where (i = any (v_locked)) is not true
        order by i collate "C"
    loop
        perform ducto.lock_account(v_account_id);
    end loop;
end
$$;

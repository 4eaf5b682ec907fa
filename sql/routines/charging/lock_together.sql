-- Locks the accounts of a batch in one order, creating those that are missing, each in its turn:
-- one that is created must not wait for locks that come after its own.
create or replace function ducto.lock_together(p_items jsonb[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    v_one record;
begin
    for v_one in
        select coalesce(u.item ->> 'team_id', u.item ->> 'user_id') as account_id,
            bool_or(u.item ->> 'team_id' is null) as of_users
        from unnest(p_items) u (item)
        where u.item is not null and ducto.check_batch_item(u.item) is null
        group by 1
        order by min(coalesce(u.item ->> 'team_id', u.item ->> 'user_id') collate "C")
    loop
        perform from ducto.credit_accounts a where a.account_id = v_one.account_id
        for no key update;
        if not found and v_one.of_users then
            perform ducto.lock_account(v_one.account_id);
        end if;
    end loop;
end
$$;
comment on function ducto.lock_together(jsonb[]) is
    'p_items: charges of a batch, null where one is done.';

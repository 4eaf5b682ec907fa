-- Locks the accounts of a batch in one pass and one order, those that come into being among them.
-- What is there is locked by one statement; where an account is missing, each in its turn, because
-- one that is created must not wait for locks that come after its own.
create or replace function ducto.lock_together(p_items jsonb[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    v_one record;
begin
    with payer as materialized (
        select p.account_id from (
            select coalesce(u.item ->> 'team_id', u.item ->> 'user_id') as account_id
            from unnest(p_items) u (item)
            group by 1
        ) p
        where p.account_id is not null
        -- Only here: a collation of its own would follow the id into every look-up.
        order by p.account_id collate "C"
    )
    select count(*) as locked, (select count(*) from payer) as payers into v_one
    from payer p
    cross join lateral (
        select a.account_id from ducto.credit_accounts a where a.account_id = p.account_id
        for no key update
    ) l
    where not exists (
        select from payer o where not exists (
            select from ducto.credit_accounts a where a.account_id = o.account_id offset 0
        )
    );
    if v_one.locked = v_one.payers then
        return;
    end if;
    for v_one in
        select coalesce(u.item ->> 'team_id', u.item ->> 'user_id') as account_id,
            bool_or(u.item ->> 'team_id' is null) as of_users
        from unnest(p_items) u (item)
        where ducto.check_batch_item(u.item) is null
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

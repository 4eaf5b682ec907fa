-- An account's lots less its debt are what its last entry says.
create or replace function ducto.check_balances()
returns table (check_name text, user_id text, detail jsonb)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select 'balance', a.account_id, jsonb_build_object(
        'lots_less_debt', coalesce(l.remaining, 0) - a.debt,
        'last_balance_after', coalesce(t.balance_after, 0)
    )
    from ducto.credit_accounts a
    left join lateral (
        select sum(s.remaining) as remaining from ducto.credit_lots s
        where s.account_id = a.account_id and s.kind <> 'allowance'
    ) l on true
    left join lateral (
        select e.balance_after from ducto.credit_transactions e
        where e.account_id = a.account_id order by e.id desc limit 1
    ) t on true
    where coalesce(l.remaining, 0) - a.debt <> coalesce(t.balance_after, 0);
$$;

-- An account's lots less its debt are what its row and its last entry say, the allowance is what
-- its lots hold, and nothing lapses before the row expects it.
create or replace function ducto.check_balances()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'balance', a.account_id, jsonb_build_object(
        'balance', a.balance,
        'lots_less_debt', coalesce(l.paid, 0) - a.debt,
        'last_balance_after', coalesce(t.balance_after, 0),
        'allowance', a.allowance,
        'allowance_lots', coalesce(l.free, 0),
        'stale_at', a.stale_at,
        'first_expiry', l.expires_at
    )
    from ducto.accounts_now a
    left join (
        select s.account_id, sum(s.remaining) filter (where not s.free) as paid,
            sum(s.remaining) filter (where s.free) as free,
            min(s.expires_at) filter (where s.live) as expires_at
        from ducto.lots_now s group by s.account_id
    ) l on l.account_id = a.account_id
    left join (
        select distinct on (e.account_id) e.account_id, e.balance_after
        from ducto.credit_transactions e order by e.account_id, e.id desc
    ) t on t.account_id = a.account_id
    where a.balance <> coalesce(l.paid, 0) - a.debt
        or a.balance <> coalesce(t.balance_after, 0)
        or a.allowance <> coalesce(l.free, 0)
        or a.stale_at > l.expires_at;
end
$$;

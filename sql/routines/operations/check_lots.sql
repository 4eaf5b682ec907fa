-- What is left of a lot, and an account's debt, is what the allocations of all entries add up to.
create or replace function ducto.check_lots()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with changes as materialized (
        select t.account_id, (c.item ->> 'lot')::bigint as lot_id,
            sum((c.item -> 'amount')::numeric) as amount, sum((c.item -> 'debt')::numeric) as debt
        from ducto.credit_transactions t
        cross join lateral jsonb_array_elements(
            ducto.entry_allocations(row(t.*)::ducto.entry)
        ) as c (item)
        group by 1, 2
    )
    select 'lot', l.account_id, jsonb_build_object(
        'lot_id', l.lot_id, 'kind', l.kind, 'remaining', l.remaining, 'allocated', c.amount
    )
    from ducto.lots_now l
    left join changes c on c.account_id = l.account_id and c.lot_id = l.lot_id
    where l.remaining <> coalesce(c.amount, 0)
            -- An allowance is granted and lapses without an entry.
            + case when l.period_start is not null and l.kind = 'allowance' then l.amount else 0 end
            - case when l.kind = 'allowance' then l.forfeited else 0 end
        or l.live <> (l.remaining > 0)
        or l.amount <= 0
        or l.forfeited not between 0 and l.amount
    union all
    select 'debt', a.account_id, jsonb_build_object('debt', a.debt, 'allocated', c.debt)
    from ducto.credit_accounts a
    left join changes c on c.account_id = a.account_id and c.lot_id is null
    where a.debt <> coalesce(c.debt, 0);
end
$$;

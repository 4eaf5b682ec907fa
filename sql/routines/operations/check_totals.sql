-- What an account was granted and has spent in all is what its entries add up to.
create or replace function ducto.check_totals()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'totals', a.account_id, jsonb_build_object(
        'granted', a.granted, 'grants', coalesce(t.granted, 0),
        'spent', a.spent, 'charges', coalesce(t.spent, 0)
    )
    from ducto.accounts_now a
    left join (
        select e.account_id,
            sum(e.amount) filter (
                where e.amount > 0 and e.type not in ('usage', 'refund')
            ) as granted,
            -sum(e.amount) filter (where e.type in ('usage', 'refund')) as spent
        from ducto.credit_transactions e group by e.account_id
    ) t on t.account_id = a.account_id
    where a.granted <> coalesce(t.granted, 0) or a.spent <> coalesce(t.spent, 0);
end
$$;

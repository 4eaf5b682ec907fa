-- Each entry's balance is the one before it plus its amount.
create or replace function ducto.check_chain()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'chain', e.account_id, jsonb_build_object(
        'transaction_id', e.id, 'expected', e.expected, 'balance_after', e.balance_after
    )
    from (
        select t.account_id, t.id, t.balance_after,
            t.amount + coalesce(
                lag(t.balance_after) over (partition by t.account_id order by t.id), 0
            ) as expected
        from ducto.credit_transactions t
    ) e
    where e.balance_after <> e.expected;
end
$$;

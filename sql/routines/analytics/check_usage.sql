-- The rollup against the ledger: each of its spans sums what the watermarks say is in it.
create or replace function ducto.check_usage()
returns table (check_name text, user_id text, detail jsonb)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
as $$
    with accounts as (
        select e.account_id, sum(e.charges) as charges, sum(e.spent) as spent,
            sum(e.allowance_consumed) as allowance_consumed
        from ducto.credit_usage_entries e
        join ducto.credit_usage_watermarks w on w.account_id = e.account_id and e.id <= w.rolled_id
        group by e.account_id
    ), expected as (
        select l.scope, l.hours,
            case when l.scope = 'model' then '' else a.account_id end as account_id,
            sum(a.charges) as charges, sum(a.spent) as spent,
            sum(a.allowance_consumed) as allowance_consumed
        from accounts a cross join ducto.usage_ladder() l
        group by 1, 2, 3
    ), found as (
        select r.scope, r.hours, r.account_id, sum(r.charges) as charges, sum(r.spent) as spent,
            sum(r.allowance_consumed) as allowance_consumed
        from ducto.credit_usage_rollup r
        group by r.scope, r.hours, r.account_id
    )
    select 'usage_rollup', nullif(account_id, ''), jsonb_build_object(
        'scope', scope, 'hours', hours,
        'rolled_up', jsonb_build_array(f.charges, f.spent, f.allowance_consumed),
        'ledger', jsonb_build_array(e.charges, e.spent, e.allowance_consumed)
    )
    from expected e
    full join found f using (scope, hours, account_id)
    where (e.charges, e.spent, e.allowance_consumed)
        is distinct from (f.charges, f.spent, f.allowance_consumed);
$$;

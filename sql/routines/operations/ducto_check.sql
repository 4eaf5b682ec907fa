create or replace function public.ducto_check()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select * from ducto.check_balances()
    union all select * from ducto.check_lots()
    union all select * from ducto.check_chain()
    union all select * from ducto.check_entries()
    union all select * from ducto.check_refunds()
    union all select * from ducto.check_counters()
    union all select * from ducto.check_teams()
    union all select * from ducto.check_totals()
    union all select * from ducto.check_headroom()
    union all select * from ducto.check_prices(1000)
    union all select * from ducto.check_usage()
    union all select * from ducto.check_overloads();
end
$$;
comment on function public.ducto_check() is
    'Holds the books against themselves and returns a row per violation, none on a healthy '
    'database: balances against lots, lots and debts against allocations, the chain of entries, '
    'each entry against its allocations, refunds against charges, cap and member totals, holds and '
    'open headroom against their entries, the last 1000 charges against their price, the usage '
    'rollup against the ledger, and functions that others have planted beside the API. Reads '
    'everything: run it at quiet times. Callers: admin.';

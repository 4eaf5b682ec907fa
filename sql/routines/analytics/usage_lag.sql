-- How far the rollup is behind the ledger: the charges and refunds that reports read one by one.
create or replace function ducto.usage_lag()
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'rolled_up_at', max(s.rolled_up_at),
        'entries_behind', (select count(*) from ducto.usage_tail())
    )
    from ducto.credit_usage_state s;
$$;

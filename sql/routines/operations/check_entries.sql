-- Each entry says what its allocations did.
create or replace function ducto.check_entries()
returns table (check_name text, user_id text, detail jsonb)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select 'entry', t.account_id, jsonb_build_object(
        'transaction_id', t.id, 'type', t.type, 'amount', t.amount,
        'allowance_consumed', t.allowance_consumed, 'allocations', t.allocations
    )
    from ducto.credit_transactions t
    where not ducto.recomputes(t, null);
$$;

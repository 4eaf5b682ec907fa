-- Each entry says what its allocations did.
create or replace function ducto.check_entries()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'entry', t.account_id, jsonb_build_object(
        'transaction_id', t.id, 'type', t.type, 'amount', t.amount,
        'allowance_consumed', t.allowance_consumed,
        'allocations', ducto.entry_allocations(row(t.*)::ducto.entry)
    )
    from ducto.credit_transactions t
    where not ducto.recomputes(row(t.*)::ducto.entry, null);
end
$$;

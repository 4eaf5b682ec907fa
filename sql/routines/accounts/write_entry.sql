-- Writes the ledger row of anything but a charge, after its allocations have been applied.
create or replace function ducto.write_entry(
    p_account_id text,
    p_type text,
    p_amount numeric,
    p_allocations jsonb,
    p_now timestamptz,
    p_idempotency_key text default null,
    p_fingerprint bytea default null,
    p_metadata jsonb default null,
    p_actor_id text default null,
    p_reference_id bigint default null,
    p_allowance_restored numeric default 0,
    p_model text default null
)
returns ducto.credit_transactions
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- Changes nothing, but shows SERIALIZABLE transactions that the account has changed.
    update ducto.credit_accounts a set debt = a.debt where a.account_id = p_account_id;
    insert into ducto.credit_transactions (
        account_id, actor_id, type, amount, balance_after, allowance_consumed, allocations,
        idempotency_key, fingerprint, metadata, reference_id, model, created_at
    ) values (
        p_account_id, coalesce(p_actor_id, p_account_id), p_type, p_amount,
        ducto.read_balance(p_account_id), -p_allowance_restored, p_allocations,
        p_idempotency_key, p_fingerprint, nullif(p_metadata, '{}'), p_reference_id, p_model, p_now
    )
    returning *;
$$;

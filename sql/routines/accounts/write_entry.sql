-- Writes the ledger row of anything but a charge. p_account is the account after it.
create or replace function ducto.write_entry(
    p_account ducto.account,
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
returns ducto.entry
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.entry;
begin
    perform ducto.check_sums(p_account);
    insert into ducto.credit_transactions as t (
        account_id, actor_id, type, amount, balance_after, allowance_consumed, allocations,
        idempotency_key, fingerprint, metadata, reference_id, model, created_at
    ) values (
        p_account.account_id, coalesce(p_actor_id, p_account.account_id),
        p_type::ducto.entry_type, p_amount, p_account.balance, -p_allowance_restored,
        p_allocations, p_idempotency_key, p_fingerprint, nullif(p_metadata, '{}'),
        p_reference_id, p_model, p_now
    )
    returning t.* into v_entry;
    if p_reference_id is not null then
        insert into ducto.credit_references (account_id, reference_id, transaction_id)
        values (p_account.account_id, p_reference_id, v_entry.id);
    end if;
    return v_entry;
end
$$;

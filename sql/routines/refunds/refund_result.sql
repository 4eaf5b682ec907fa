-- The result of a refund, built from its ledger row.
create or replace function ducto.refund_result(
    p_entry ducto.entry,
    p_replayed boolean
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object(
        'transaction_id', p_entry.id,
        'refunded_transaction_id', p_entry.reference_id,
        'user_id', p_entry.actor_id,
        'amount', trim_scale(p_entry.amount),
        'allowance_restored', trim_scale(-p_entry.allowance_consumed),
        'balance_after', trim_scale(p_entry.balance_after),
        'replayed', p_replayed
    );
end
$$;

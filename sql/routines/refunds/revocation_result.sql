-- The result of revoking a grant, from its ledger row.
create or replace function ducto.revocation_result(
    p_entry ducto.entry,
    p_lot_id bigint,
    p_replayed boolean
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_debt numeric := coalesce((p_entry.allocations -> -1 -> 'debt')::numeric, 0);
begin
    return jsonb_build_object(
        'transaction_id', p_entry.id,
        'revoked_transaction_id', p_entry.reference_id,
        'lot_id', p_lot_id,
        'user_id', p_entry.account_id,
        'amount', trim_scale(-p_entry.amount),
        'taken', trim_scale(-p_entry.amount - v_debt),
        'debt_added', trim_scale(v_debt),
        'balance_after', trim_scale(p_entry.balance_after),
        'replayed', p_replayed
    );
end
$$;

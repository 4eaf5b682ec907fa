-- The result of a charge, built from its ledger row alone: a replay cannot differ from the first.
create or replace function ducto.charge_result(
    p_entry ducto.entry,
    p_kind text,
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
        'status', 'ok',
        'transaction_id', p_entry.id,
        'user_id', p_entry.actor_id,
        'team_id', case when p_kind = 'team' then p_entry.account_id end,
        'model', p_entry.model,
        'cost', trim_scale(p_entry.allowance_consumed - p_entry.amount),
        'allowance_consumed', trim_scale(p_entry.allowance_consumed),
        'amount', trim_scale(-p_entry.amount),
        'balance_after', trim_scale(p_entry.balance_after),
        'available_after', trim_scale(coalesce(p_entry.available_after, p_entry.balance_after)),
        'pricing_version', p_entry.pricing_version,
        'breakdown', ducto.entry_breakdown(p_entry),
        'warnings', coalesce(p_entry.warnings, '[]'),
        'replayed', p_replayed
    );
end
$$;

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
    return to_jsonb(row(
        'ok', p_entry.id, p_entry.actor_id,
        case when p_kind = 'team' then p_entry.account_id end, p_entry.model,
        trim_scale(p_entry.allowance_consumed - p_entry.amount),
        trim_scale(p_entry.allowance_consumed), trim_scale(-p_entry.amount),
        trim_scale(p_entry.balance_after),
        trim_scale(coalesce(p_entry.available_after, p_entry.balance_after)),
        p_entry.pricing_version, ducto.entry_breakdown(p_entry),
        coalesce(p_entry.warnings, '[]'), p_replayed
    )::ducto.receipt);
end
$$;

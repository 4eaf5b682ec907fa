-- The result of a grant, from its ledger row and lot.
create or replace function ducto.grant_result(
    p_entry ducto.entry,
    p_replayed boolean
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lot ducto.credit_lots;
begin
    if p_entry.amount > 0 then
        select l.* into v_lot from ducto.credit_lots l
        where l.account_id = p_entry.account_id
            and l.lot_id = (p_entry.allocations -> 0 ->> 'lot')::bigint;
    end if;
    return jsonb_build_object(
        'transaction_id', p_entry.id,
        'lot_id', v_lot.lot_id,
        'user_id', p_entry.account_id,
        'type', p_entry.type,
        'amount', trim_scale(p_entry.amount),
        'balance_after', trim_scale(p_entry.balance_after),
        'expires_at', v_lot.expires_at,
        'replayed', p_replayed
    );
end
$$;

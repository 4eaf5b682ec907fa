-- Closes a lot of the locked account: what is left is forfeited, what was spent of it is owed.
create or replace function ducto.revoke_lot(
    p_account ducto.credit_accounts,
    p_lot ducto.credit_lots,
    p_write_off boolean,
    p_now timestamptz,
    p_idempotency_key text,
    p_fingerprint bytea,
    p_metadata jsonb
)
returns ducto.credit_transactions
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spent numeric := p_lot.amount - p_lot.remaining - p_lot.forfeited;
    v_allocations jsonb := '[]'::jsonb;
    v_entry ducto.credit_transactions;
begin
    if p_lot.remaining > 0 then
        v_allocations := jsonb_build_array(
            jsonb_build_object('lot', p_lot.lot_id, 'amount', -trim_scale(p_lot.remaining))
        );
        perform ducto.apply_allocations(p_lot.account_id, v_allocations, true);
    end if;
    if v_spent > 0 and not p_write_off then
        perform ducto.apply_allocations(
            p_lot.account_id, jsonb_build_array(jsonb_build_object('debt', v_spent))
        );
        v_allocations := v_allocations || jsonb_build_object('debt', trim_scale(v_spent));
    else
        v_spent := 0;
    end if;
    -- What has become debt is spend of the debt from now on, not of the lot.
    update ducto.credit_lots l set revoked_at = p_now, forfeited = l.forfeited + v_spent
    where l.account_id = p_lot.account_id and l.lot_id = p_lot.lot_id;
    v_entry := ducto.write_entry(
        p_lot.account_id, 'revocation', -p_lot.remaining - v_spent, v_allocations, p_now,
        p_idempotency_key, p_fingerprint, p_metadata, null, p_lot.transaction_id
    );
    perform ducto.check_thresholds(
        p_account,
        (select c.low_balance_thresholds from ducto.credit_pricing_config c where c.active),
        v_entry.balance_after,
        ducto.read_allowance(p_lot.account_id),
        p_now,
        true
    );
    return v_entry;
end
$$;

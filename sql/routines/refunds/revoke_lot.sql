-- Closes a lot of the locked account: what is left is forfeited, what was spent of it is owed.
create or replace function ducto.revoke_lot(
    p_account ducto.account,
    p_lot_id bigint,
    p_write_off boolean,
    p_now timestamptz,
    p_idempotency_key text,
    p_fingerprint bytea,
    p_metadata jsonb
)
returns ducto.entry
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_terms ducto.terms := ducto.read_terms(p_account, null, p_now);
    v ducto.account := ducto.bring_up_to_date(p_account, v_terms, p_now);
    v_lot record;
    v_owed numeric;
    v_entry ducto.entry;
begin
    select l.remaining, l.amount - l.remaining - l.forfeited as spent, l.transaction_id into v_lot
    from ducto.credit_lots l
    where l.account_id = v.account_id and l.lot_id = p_lot_id;
    v_owed := case when p_write_off then 0 else v_lot.spent end;
    -- What has become debt is spend of the debt from now on, not of the lot.
    update ducto.credit_lots l set
        remaining = 0, live = false, forfeited = l.forfeited + l.remaining + v_owed,
        revoked_at = p_now
    where l.account_id = v.account_id and l.lot_id = p_lot_id;
    v.balance := v.balance - v_lot.remaining - v_owed;
    v.debt := v.debt + v_owed;
    v_entry := ducto.write_entry(
        v, 'revocation', -v_lot.remaining - v_owed,
        ducto.allocations(
            case when v_lot.remaining > 0 then array[p_lot_id] end, array[v_lot.remaining], v_owed
        ), p_now,
        p_idempotency_key, p_fingerprint, p_metadata, null, v_lot.transaction_id
    );
    v.alerted_below := ducto.check_thresholds(v, v_terms.thresholds, p_now, true);
    perform ducto.save_account(v);
    return v_entry;
end
$$;

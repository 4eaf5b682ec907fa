-- A negative adjustment: takes credits from the lots a charge would take them from, but not from
-- the allowance, and not below the floor.
create or replace function ducto.take_back(
    p_account ducto.account,
    p_terms ducto.terms,
    p_now timestamptz,
    p_amount numeric,
    p_idempotency_key text,
    p_fingerprint bytea,
    p_metadata jsonb
)
returns ducto.granted
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.entry;
    v ducto.account := p_account;
    v_draft ducto.draft;
begin
    if v.balance - v.held - p_amount < p_terms.floor then
        perform ducto.raise_error('DU002', jsonb_build_object(
            'user_id', v.account_id,
            'required', trim_scale(p_amount),
            'available', trim_scale(v.balance - v.held),
            'balance', trim_scale(v.balance),
            'allowance_remaining', trim_scale(v.allowance),
            'held', trim_scale(v.held),
            'floor', trim_scale(p_terms.floor)
        ));
    end if;
    v_draft := ducto.draw(v, p_amount, p_now, false);
    perform ducto.take_lots(v.account_id, v_draft.lots, v_draft.takes, true);
    v.balance := v.balance - p_amount;
    v.debt := v.debt + v_draft.debt;
    v_entry := ducto.write_entry(
        v, 'adjustment', -p_amount,
        ducto.allocations(v_draft.lots, v_draft.takes, v_draft.debt), p_now,
        p_idempotency_key, p_fingerprint, p_metadata
    );
    return row(v, v_entry)::ducto.granted;
end
$$;
comment on function ducto.take_back(
    ducto.account, ducto.terms, timestamptz, numeric, text, bytea, jsonb
) is
    'The account after it, not yet saved.';

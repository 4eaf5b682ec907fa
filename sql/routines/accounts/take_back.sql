-- A negative adjustment: takes credits from the lots a charge would take them from, but not from
-- the allowance, and not below the floor.
create or replace function ducto.take_back(
    p_account ducto.credit_accounts,
    p_now timestamptz,
    p_amount numeric,
    p_idempotency_key text,
    p_fingerprint bytea,
    p_metadata jsonb
)
returns ducto.credit_transactions
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_terms ducto.terms := ducto.read_terms(p_account, null);
    v_position ducto.position := ducto.read_position(p_account, v_terms, p_now);
    v_available numeric := v_position.balance - v_position.held;
    v_allocations jsonb;
    v_entry ducto.credit_transactions;
begin
    if v_available - p_amount < v_terms.floor then
        perform ducto.raise_error('DU002', jsonb_build_object(
            'user_id', p_account.account_id,
            'required', trim_scale(p_amount),
            'available', trim_scale(v_available),
            'balance', trim_scale(v_position.balance),
            'allowance_remaining', trim_scale(v_position.allowance),
            'held', trim_scale(v_position.held),
            'floor', trim_scale(v_terms.floor)
        ));
    end if;
    v_allocations := ducto.draw(
        array(select l from unnest(v_position.lots) l where (l).kind <> 'allowance'), p_amount
    );
    perform ducto.apply_allocations(p_account.account_id, v_allocations, true);
    v_entry := ducto.write_entry(
        p_account.account_id, 'adjustment', -p_amount, v_allocations, p_now,
        p_idempotency_key, p_fingerprint, p_metadata
    );
    perform ducto.check_thresholds(
        p_account, v_terms.thresholds, v_entry.balance_after, v_position.allowance, p_now
    );
    return v_entry;
end
$$;

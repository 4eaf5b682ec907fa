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
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.assessment := ducto.assess(p_account, null, 0, null, p_now, null);
    v_allocations jsonb;
    v_entry ducto.credit_transactions;
begin
    if v.balance - v.held - p_amount < v.floor then
        perform ducto.raise_error('DU002', jsonb_build_object(
            'user_id', p_account.account_id,
            'required', trim_scale(p_amount),
            'available', trim_scale(v.balance - v.held),
            'balance', trim_scale(v.balance),
            'allowance_remaining', trim_scale(v.allowance),
            'held', trim_scale(v.held),
            'floor', trim_scale(v.floor)
        ));
    end if;
    -- What a charge of as much beyond the allowance would draw, without the allowance's part.
    v := ducto.assess(p_account, null, v.allowance + p_amount, null, p_now, null);
    select jsonb_agg(a.item order by a.place) into v_allocations
    from jsonb_array_elements(v.allocations) with ordinality a (item, place)
    where not exists (
        select from ducto.credit_lots l
        where l.account_id = p_account.account_id
            and l.lot_id = (a.item ->> 'lot')::bigint
            and l.kind = 'allowance'
    );
    perform ducto.apply_allocations(p_account.account_id, v_allocations, true);
    if v_allocations -> -1 ? 'debt' then
        update ducto.credit_accounts a set
            adjusted = a.adjusted + (v_allocations -> -1 ->> 'debt')::numeric
        where a.account_id = p_account.account_id;
    end if;
    v_entry := ducto.write_entry(
        p_account.account_id, 'adjustment', -p_amount, v_allocations, p_now,
        p_idempotency_key, p_fingerprint, p_metadata
    );
    perform ducto.check_thresholds(
        p_account, v.thresholds, v_entry.balance_after, v.allowance, p_now, true
    );
    return v_entry;
end
$$;

-- Refunds a charge of the locked account from what the ledger recorded, never by pricing it again:
-- its allocations in reverse order, after those that earlier refunds have given back.
create or replace function ducto.refund_charge(
    p_account ducto.credit_accounts,
    p_charge ducto.credit_transactions,
    p_amount numeric,
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
    v_cost numeric := p_charge.allowance_consumed - p_charge.amount;
    v_skip numeric;
    v_left numeric;
    v_part numeric;
    v_item jsonb;
    v_given record;
    v_allocations jsonb := '[]'::jsonb;
    v_amount numeric := 0.0;
    v_allowance numeric := 0.0;
    v_entry ducto.credit_transactions;
begin
    select coalesce(sum(t.amount - t.allowance_consumed), 0) into v_skip
    from ducto.credit_transactions t
    where t.account_id = p_charge.account_id
        and t.reference_id = p_charge.id and t.type = 'refund';
    v_left := coalesce(p_amount, v_cost - v_skip);
    if v_left > v_cost - v_skip or v_left = 0 then
        perform ducto.raise_error('DU009', jsonb_build_object(
            'transaction_id', p_charge.id,
            'cost', trim_scale(v_cost),
            'refunded', trim_scale(v_skip),
            'refundable', trim_scale(v_cost - v_skip),
            'requested', trim_scale(coalesce(p_amount, v_cost))
        ));
    end if;
    perform ducto.bring_up_to_date(p_account, p_now);
    for v_item in
        select a.item from jsonb_array_elements(p_charge.allocations)
            with ordinality a (item, place)
        order by a.place desc
    loop
        v_part := coalesce((v_item -> 'debt')::numeric, -(v_item -> 'amount')::numeric);
        v_given := null;
        if v_skip >= v_part then
            v_skip := v_skip - v_part;
            continue;
        end if;
        v_part := least(v_part - v_skip, v_left);
        v_skip := 0;
        v_given := ducto.give_back(p_charge, v_item, v_part, p_now);
        v_allocations := v_allocations || v_given.allocations;
        v_amount := v_amount + v_part - v_given.allowance;
        v_allowance := v_allowance + v_given.allowance;
        v_left := v_left - v_part;
        exit when v_left = 0;
    end loop;
    v_entry := ducto.write_entry(
        p_charge.account_id, 'refund', v_amount, v_allocations, p_now, p_idempotency_key,
        p_fingerprint, p_metadata, p_charge.actor_id, p_charge.id, v_allowance, p_charge.model
    );
    perform ducto.uncount_charge(p_account, p_charge, v_amount, v_entry);
    return v_entry;
end
$$;
comment on function ducto.refund_charge(
    ducto.credit_accounts, ducto.credit_transactions, numeric, timestamptz, text, bytea, jsonb
) is
    'p_amount: of the cost, allowance part included; null: all that is left.';

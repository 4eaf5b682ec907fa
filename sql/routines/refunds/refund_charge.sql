-- Refunds a charge of the locked account from what the ledger recorded, never by pricing it again:
-- its allocations in reverse order, after those that earlier refunds have given back, all of them
-- at once. ducto.give_back says where each part goes.
create or replace function ducto.refund_charge(
    p_account ducto.account,
    p_charge ducto.entry,
    p_amount numeric,
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
    v ducto.account := p_account;
    v_terms ducto.terms := ducto.read_terms(p_account, null, p_now);
    v_cost numeric := p_charge.allowance_consumed - p_charge.amount;
    v_refunded numeric := ducto.refunded(p_charge);
    v_left numeric := coalesce(p_amount, v_cost - v_refunded);
    v_given ducto.given_back;
    v_entry ducto.entry;
begin
    if v_left > v_cost - v_refunded or v_left = 0 then
        perform ducto.raise_error('DU009', jsonb_strip_nulls(jsonb_build_object(
            'transaction_id', p_charge.id,
            'cost', trim_scale(v_cost),
            'refunded', trim_scale(v_refunded),
            'refundable', trim_scale(v_cost - v_refunded),
            'requested', trim_scale(coalesce(p_amount, v_cost)),
            'hint', case
                when v_cost = 0 then 'The charge cost nothing: there is nothing to refund.'
                when v_cost = v_refunded then 'The charge has been refunded in full.'
            end
        )));
    end if;
    v := ducto.bring_up_to_date(v, v_terms, p_now);
    v_given := ducto.give_back(v, p_charge, v_refunded, v_left, p_now);
    v := v_given.account;
    v.spent := v.spent - v_given.amount;
    v_entry := ducto.write_entry(
        v, 'refund', v_given.amount, v_given.allocations, p_now, p_idempotency_key,
        p_fingerprint, p_metadata, p_charge.actor_id, p_charge.id, v_given.allowance,
        p_charge.model
    );
    perform ducto.uncount_charge(v, p_charge, v_given.amount);
    v.alerted_below := ducto.check_thresholds(v, v_terms.thresholds, p_now, false);
    perform ducto.save_account(v);
    return v_entry;
end
$$;
comment on function ducto.refund_charge(
    ducto.account, ducto.entry, numeric, timestamptz, text, bytea, jsonb
) is
    'p_amount: of the cost, allowance part included; null: all that is left.';

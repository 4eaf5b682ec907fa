-- What a refund gives back to lots that were revoked and written off is revoked as well, by an
-- entry of its own right before the refund's: the refund then leaves the balance where it was.
create or replace function ducto.revoke_again(
    p_account ducto.account,
    p_written_off jsonb,
    p_now timestamptz
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
    v_item jsonb;
    v_amount numeric;
    v_allocations jsonb := '[]'::jsonb;
begin
    for v_item in select w from jsonb_array_elements(p_written_off) w loop
        v_amount := (v_item -> 'amount')::numeric;
        update ducto.credit_lots l set forfeited = l.forfeited + v_amount
        where l.account_id = v.account_id and l.lot_id = (v_item -> 'lot')::bigint;
        v.balance := v.balance - v_amount;
        perform ducto.write_entry(
            v, 'revocation', -v_amount,
            jsonb_build_array(jsonb_build_object(
                'lot', v_item -> 'lot', 'amount', -trim_scale(v_amount)
            )),
            p_now, p_reference_id => (v_item -> 'transaction_id')::bigint
        );
        v_allocations := v_allocations
            || jsonb_build_object('lot', v_item -> 'lot', 'amount', trim_scale(v_amount));
    end loop;
    return v_allocations;
end
$$;
comment on function ducto.revoke_again(ducto.account, jsonb, timestamptz) is
    'The allocations of the refund for them.';

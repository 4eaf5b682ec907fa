-- Pays an account's debt from one of its lots, at once, as far as the lot goes.
create or replace function ducto.pay_debt(p_account_id text, p_lot_id bigint)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_paid numeric;
    v_allocations jsonb := '[]'::jsonb;
begin
    select least(a.debt, l.remaining) into v_paid
    from ducto.credit_accounts a
    join ducto.credit_lots l on l.account_id = a.account_id
    where a.account_id = p_account_id and l.lot_id = p_lot_id;
    if v_paid > 0 then
        v_allocations := jsonb_build_array(
            jsonb_build_object('lot', p_lot_id, 'amount', -trim_scale(v_paid)),
            jsonb_build_object('debt', -trim_scale(v_paid))
        );
        perform ducto.apply_allocations(p_account_id, v_allocations);
    end if;
    return v_allocations;
end
$$;
comment on function ducto.pay_debt(text, bigint) is
    'Returns the allocations it applied; empty when there is no debt.';

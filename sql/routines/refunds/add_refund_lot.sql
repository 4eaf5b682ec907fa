-- A lot for what no lot or debt can take back, as an allocation.
create or replace function ducto.add_refund_lot(
    p_account_id text,
    p_amount numeric,
    p_now timestamptz
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lot_id bigint;
begin
    insert into ducto.credit_lots (
        account_id, kind, category, amount, remaining, effective_at, created_at
    ) values (p_account_id, 'refund', 'paid', p_amount, p_amount, p_now, p_now)
    returning lot_id into v_lot_id;
    return jsonb_build_object('lot', v_lot_id, 'amount', trim_scale(p_amount));
end
$$;

-- What a settlement leaves of its hold: nothing, or the part not yet charged.
create or replace function ducto.settle_hold(
    p_hold ducto.credit_reservations,
    p_result jsonb,
    p_final boolean,
    p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_cost numeric := (p_result -> 'cost')::numeric;
begin
    update ducto.credit_reservations r set
        charged = r.charged + v_cost,
        held = greatest(r.held - v_cost, 0),
        transaction_id = (p_result -> 'transaction_id')::bigint
    where r.account_id = p_hold.account_id and r.reservation_id = p_hold.reservation_id;
    if p_final then
        perform ducto.close_hold(p_hold, 'settled', p_now);
    end if;
end
$$;

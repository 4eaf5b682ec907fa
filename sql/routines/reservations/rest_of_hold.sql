-- What a settlement that names neither metrics nor an amount charges: what it charged under its key
-- before, else the part of the hold that no settlement has charged yet.
create or replace function ducto.rest_of_hold(
    p_hold ducto.reservation,
    p_idempotency_key text
)
returns numeric
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_charged numeric;
begin
    select t.allowance_consumed - t.amount into v_charged
    from ducto.credit_transactions t
    where t.account_id = p_hold.account_id
        and t.reservation_id = p_hold.reservation_id
        and t.idempotency_key = p_idempotency_key;
    return coalesce(v_charged, greatest(p_hold.amount - p_hold.charged, 0));
end
$$;

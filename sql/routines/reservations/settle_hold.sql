-- What a settlement leaves of its hold: nothing, or the part not yet charged.
create or replace function ducto.settle_hold(
    p_account ducto.account,
    p_hold ducto.reservation,
    p_transaction_id bigint,
    p_cost numeric,
    p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_left numeric := p_hold.held - ducto.freed(p_hold, p_cost);
    v_capped numeric := greatest(p_hold.capped - v_left, 0);
begin
    update ducto.credit_reservations r set
        charged = r.charged + p_cost,
        held = v_left,
        capped = r.capped - v_capped,
        counted = v_left > 0,
        status = p_hold.status,
        closed_at = case when p_hold.status = 'settled' then p_now end,
        transaction_id = p_transaction_id
    where r.account_id = p_hold.account_id and r.reservation_id = p_hold.reservation_id;
    if v_capped > 0 and p_account.has_caps then
        -- The caps that the hold was held against, whatever it is settled with.
        update ducto.credit_spend_caps c set held = greatest(c.held - v_capped, 0)
        where c.account_id = p_hold.account_id and c.model = any (
            ducto.cap_models(p_hold.pricing_version, p_hold.plan_key, p_hold.model)
        );
    end if;
    if v_capped > 0 and p_account.kind = 'team' then
        perform ducto.hold_member(p_hold.account_id, p_hold.actor_id, -v_capped);
    end if;
end
$$;
comment on function ducto.settle_hold(
    ducto.account, ducto.reservation, bigint, numeric, timestamptz
) is
    'p_hold.status: settled for the whole, active for a part. The account is the caller''s to '
    'save.';

-- Frees a part of what a hold sets aside, on the account and in the caps that cover it.
create or replace function ducto.uncount_hold(
    p_account ducto.account,
    p_hold ducto.reservation,
    p_freed numeric
)
returns ducto.account
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
    v_capped numeric;
begin
    if not p_hold.counted then
        return v;
    end if;
    v_capped := greatest(p_hold.capped - (p_hold.held - p_freed), 0);
    update ducto.credit_reservations r set
        counted = p_freed < r.held,
        held = r.held - p_freed,
        capped = r.capped - v_capped
    where r.account_id = v.account_id and r.reservation_id = p_hold.reservation_id;
    if v_capped > 0 and v.has_caps then
        update ducto.credit_spend_caps c set held = greatest(c.held - v_capped, 0)
        where c.account_id = v.account_id and c.model = any (
            ducto.cap_models(p_hold.pricing_version, p_hold.plan_key, p_hold.model)
        );
    end if;
    if v_capped > 0 and v.kind = 'team' then
        perform ducto.hold_member(v.account_id, p_hold.actor_id, -v_capped);
    end if;
    v.held := v.held - p_freed;
    return v;
end
$$;
comment on function ducto.uncount_hold(ducto.account, ducto.reservation, numeric) is
    'The account, not yet saved. p_freed: of the hold''s held, at most all of it.';

-- What a settlement draws: up to the hold what it set aside, above it what is available above its
-- floor, and never a lot that another hold has claimed. The rest is debt, not a smaller bill.
create or replace function ducto.draw_for_hold(
    p_account ducto.account,
    p_cost numeric,
    p_hold ducto.reservation,
    p_now timestamptz
)
returns ducto.draft
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.draft;
    v_own numeric := case when p_hold.counted then p_hold.held else 0 end;
    v_available numeric := p_account.balance + p_account.allowance - p_account.held;
    v_takeable numeric;
begin
    v_takeable := least(
        p_cost,
        v_own + greatest(v_available - p_hold.floor, 0),
        greatest(p_account.balance + p_account.debt + p_account.allowance
            - (p_account.held - v_own), 0)
    );
    v := ducto.draw(p_account, v_takeable, p_now);
    v.cost := p_cost;
    v.amount := p_cost - v.free;
    v.debt := v.debt + p_cost - v_takeable;
    return v;
end
$$;

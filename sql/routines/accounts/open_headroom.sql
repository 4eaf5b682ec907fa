-- Writes what a charge, a hold or a grant has changed of the locked account, and opens its
-- headroom: how much more may be charged, and until when, before anything has to be decided again.
-- It is the least of what the next lot has left, of what is available above the floor, of the
-- distance to the next low-balance threshold and of the room of each cap on p_models; it ends when
-- a lot or a hold lapses, the period or the window of a cap ends. Where a cap is on a model, it is
-- of charges of the same model alone, and never of operations that lack a feature they require.
-- Where every charge must be looked at, it stays closed: debt, a frozen account, a plan that is
-- missing. A charge for which opening was all that was missing is taken out of it at once.
create or replace function ducto.open_headroom(
    p_account ducto.account,
    p_terms ducto.terms,
    p_models text[],
    p_now timestamptz,
    p_cost numeric default null
)
returns ducto.drawn
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_sort = off
as $$
declare
    v_left constant numeric := p_account.balance + p_account.allowance;
    v_cost constant numeric := coalesce(p_cost, 0.0);
    v_drawn ducto.drawn;
    v_lot_id bigint;
    v_free boolean;
    v_room numeric;
    v_until timestamptz;
    v_caps record;
    v_capped numeric;
    v_window_end timestamptz;
    v_by_model boolean;
begin
    if p_account.has_caps then
        v_caps := ducto.cap_room(p_account.account_id, p_models, p_now);
        v_capped := v_caps.room;
        v_window_end := v_caps.window_end;
        v_by_model := v_caps.by_model;
    end if;
    if p_account.status = 'active' and p_account.debt = 0.0
        and not p_terms.plan_missing
        and (v_capped is distinct from 0.0 or p_account.allowance > 0.0)
    then
        select l.lot_id, l.free, least(l.remaining, greatest(
                v_left - p_account.held - p_terms.floor_max, p_account.allowance - p_account.held
            )), least(p_account.stale_at, case when p_terms.plan_key is not null
                then p_account.allowance_until end)
        into v_lot_id, v_free, v_room, v_until
        from ducto.credit_lots l
        where l.account_id = p_account.account_id and l.live and l.effective_at <= p_now
        order by l.free desc, l.priority, l.expires_at, l.category desc, l.lot_id
        limit 1;
    end if;
    if cardinality(p_terms.thresholds) > 0 and v_room > 0.0 then
        -- None, where one is reached and not yet announced: a new pricing may bring it.
        v_room := (
            select case when min(t) filter (where t >= v_left)
                    < coalesce(p_account.alerted_below, 1e26) then 0.0
                else least(v_room, v_left - 0.000000000001 - max(t) filter (where t < v_left)) end
            from unnest(p_terms.thresholds) t
        );
    end if;
    if p_account.has_caps and not v_free then
        v_room := least(v_room, v_capped);
        v_until := least(v_until, v_window_end);
    end if;
    if p_cost is not null and (v_room > 0.0 and v_room >= p_cost) is not true then
        return null;
    end if;
    update ducto.credit_accounts a set
        alerted_below = p_account.alerted_below,
        keyed_holds = p_account.keyed_holds,
        stale_at = p_account.stale_at,
        debt = p_account.debt,
        balance = p_account.balance,
        allowance = p_account.allowance,
        held = p_account.held,
        granted = p_account.granted,
        spent = p_account.spent,
        draw_lot = v_lot_id,
        draw_free = coalesce(v_free, false),
        headroom_version = p_terms.version,
        headroom_plan = p_terms.plan_key,
        headroom_models = case when v_by_model then p_models end,
        headroom_except = p_terms.refused,
        headroom_until = case when v_room > 0.0 then v_until - interval '1 microsecond'
            else '-infinity' end,
        hold_floor = case when a.kind = 'user' and not p_account.has_caps
            and not p_terms.policies and p_terms.max_concurrent is null
            -- What is held together stays below what can be stored.
            and v_left - p_terms.floor_max < 1e26 then p_terms.floor_max end,
        drawn = v_cost,
        headroom = coalesce(greatest(v_room, 0), 0) - v_cost
    where a.account_id = p_account.account_id
    returning a.kind, v_lot_id, nullif(p_terms.version, 0), p_terms.plan_key, v_cost,
        case when v_free then v_cost else 0 end,
        a.balance - case when v_free then 0 else v_cost end,
        v_left - a.held - v_cost, p_now
    into v_drawn.kind, v_drawn.lot_id, v_drawn.version, v_drawn.plan_key, v_drawn.cost,
        v_drawn.free, v_drawn.balance_after, v_drawn.available_after, v_drawn.created_at;
    return v_drawn;
end
$$;
comment on function ducto.open_headroom(
    ducto.account, ducto.terms, text[], timestamptz, numeric
) is
    'p_account: settled by ducto.lock_account and brought up to date. p_models: of the caps that '
    'cover the charge at hand. p_cost: of the charge to take out of it; where it does not fit, '
    'null is returned and nothing is written.';

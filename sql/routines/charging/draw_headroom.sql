-- Takes a charge of checked arguments out of its account's headroom, at a price that is told: an
-- amount, or what ducto.draft_price says of the usage. The price is of the version and plan that
-- the account had before its row was locked; where that has changed since, nothing is drawn.
create or replace function ducto.draw_headroom(
    p_account_id text,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_version integer,
    p_plan_key text,
    p_linear ducto.linear default null
)
returns ducto.drawn
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    v_drawn ducto.drawn;
    v_price constant jsonb := ducto.draft_price(
        p_metrics, p_amount, p_version, p_plan_key, p_linear
    );
    v_cost constant numeric := (v_price -> 'cost')::numeric;
begin
    update ducto.credit_accounts a set
        drawn = a.drawn + v_cost,
        headroom = a.headroom - v_cost
    where a.account_id = p_account_id
        and a.headroom >= v_cost
        and a.headroom_version = p_version
        and a.headroom_version = coalesce(
            (select c.version from ducto.credit_pricing_config c where c.active), 0
        )
        and a.headroom_plan is not distinct from p_plan_key
        and (a.headroom_models is null
            or a.headroom_models[2] is not distinct from p_metrics ->> 'model')
        and (p_metrics ->> 'operation' = any (a.headroom_except)) is not true
        and a.headroom_until >= ducto.now()
        and case when a.keyed_holds and p_idempotency_key is not null
            then ducto.check_hold_key(p_account_id, p_idempotency_key, null) is null
            else true end
        and case when a.kind = 'team' or p_actor_id <> p_account_id
            then ducto.may_spend(a.kind, p_account_id, p_actor_id) else true end
    returning a.kind, a.draw_lot, nullif(p_version, 0), a.headroom_plan, v_cost,
        case when a.draw_free then v_cost else 0 end,
        a.balance - case when a.draw_free then 0 else a.drawn end,
        a.balance + a.allowance - a.held - a.drawn,
        least(a.headroom_until, ducto.now()),
        v_price -> 'breakdown', v_price -> 'warnings', null::jsonb
    into v_drawn;
    return v_drawn;
end
$$;

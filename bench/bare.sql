-- A charge that checks nothing: the look at the price, the update of the headroom, the ledger row
-- and the result of ducto_deduct, without one of its guards. It shows which part of the way from
-- the floor to a charge is checking, and which part the row and the result cost by themselves.
create function floor.bare(p_user_id text, p_metrics jsonb, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_version integer;
    v_cost numeric;
    v_free numeric;
    v_lot_id bigint;
    v_plan_key text;
    v_balance numeric;
    v_available numeric;
    v_created_at timestamptz;
    v_result jsonb;
begin
    select r.version, trim_scale(
        r.constant
        + coalesce((p_metrics -> r.metric_1)::numeric * r.factor_1, 0)
        + coalesce((p_metrics -> r.metric_2)::numeric * r.factor_2, 0)
        + coalesce((p_metrics -> r.metric_3)::numeric * r.factor_3, 0)
        + coalesce((p_metrics -> r.metric_4)::numeric * r.factor_4, 0)
    )
    into v_version, v_cost
    from ducto.credit_linear_rates r
    where r.model = p_metrics -> 'model';
    update ducto.credit_accounts a set
        drawn = a.drawn + v_cost,
        headroom = a.headroom - v_cost
    where a.account_id = p_user_id
        and a.headroom >= v_cost
        and a.headroom_version = v_version
        and a.headroom_until >= clock_timestamp()
    returning a.draw_lot, a.headroom_plan,
        case when a.draw_free then v_cost else 0 end,
        a.balance - case when a.draw_free then 0 else a.drawn end,
        a.balance + a.allowance - a.held - a.drawn,
        clock_timestamp()
    into v_lot_id, v_plan_key, v_free, v_balance, v_available, v_created_at;
    if not found then
        raise exception 'no headroom';
    end if;
    insert into ducto.credit_transactions as t (
        account_id, actor_id, type, amount, balance_after, available_after,
        allowance_consumed, lot_id, metrics, model, pricing_version, plan_key,
        idempotency_key, created_at
    ) values (
        p_user_id, p_user_id, 'usage', v_free - v_cost, v_balance,
        nullif(v_available, v_balance), v_free, v_lot_id, p_metrics, p_metrics ->> 'model',
        v_version, v_plan_key, p_idempotency_key, v_created_at
    )
    returning to_jsonb(row(
        v_cost, t.model, v_cost - v_free, 'ok', null, p_user_id, false, '[]',
        row(0, 0, v_cost, 0, v_cost, 0)::ducto.plain_parts,
        trim_scale(v_balance), t.id, trim_scale(v_available), v_version, v_free
    )::ducto.plain_receipt)
    into v_result;
    return v_result;
end
$$;
alter function floor.bare(text, jsonb, text) owner to ducto_owner;

-- Settles the whole of an open hold within its account's headroom: what it sets aside is freed, and
-- what it costs is taken out of the headroom. That does not grow by what is freed: of a hold taken
-- before the headroom was opened it never was a part. Null: the settlement is not within it, and
-- ducto.settle_open decides.
create or replace function ducto.settle_headroom(
    p_reservation_id uuid,
    p_metrics jsonb,
    p_amount numeric
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_hold ducto.reservation;
    v_price ducto.linear;
    v_account ducto.account;
    v_version integer;
    v_now timestamptz := clock_timestamp();
    v_entry_id bigint;
    v_free numeric;
    v_balance numeric;
    v_available numeric;
    v_result jsonb;
begin
    select r.* into v_hold from ducto.credit_reservations r
    where r.reservation_id = p_reservation_id and r.closed_at is null and r.expires_at > v_now;
    if p_metrics is not null then
        v_price := ducto.linear_cost(p_metrics);
        v_version := v_price.version;
    elsif ducto.check_amount('p_amount', coalesce(p_amount, 0.0)) is null then
        v_price.version := v_hold.pricing_version;
        v_price.exact := trim_scale(
            coalesce(p_amount, greatest(v_hold.amount - v_hold.charged, 0))
        );
        v_price.cost := v_price.exact;
        select c.version into v_version from ducto.credit_pricing_config c where c.active;
    end if;
    if v_price.cost is null or (v_price.version = v_hold.pricing_version) is not true
        or v_hold.plan_key = any (v_price.plain_except)
        or current_setting('ducto.clock', true) <> ''
    then
        return null;
    end if;
    update ducto.credit_accounts a set
        held = a.held - v_hold.held,
        drawn = a.drawn + v_price.cost,
        headroom = a.headroom - v_price.cost
    where a.account_id = v_hold.account_id
        and (v_hold.floor <= a.hold_floor
            or a.hold_floor is not null and v_price.cost <= v_hold.held)
        and a.headroom >= v_price.cost
        and a.headroom_version = coalesce(v_version, 0)
        and a.headroom_until >= clock_timestamp()
        -- Never what another hold has claimed.
        and a.balance + a.allowance - a.drawn - (a.held - v_hold.held) >= v_price.cost
    returning a.* into v_account;
    if not found then
        return null;
    end if;
    -- Dated after what it may have waited for.
    v_now := least(clock_timestamp(), v_account.headroom_until);
    update ducto.credit_reservations r set
        charged = r.charged + v_price.cost,
        held = 0,
        capped = 0,
        counted = false,
        status = 'settled',
        closed_at = v_now,
        transaction_id = nextval('ducto.credit_transactions_id_seq')
    where r.account_id = v_hold.account_id and r.reservation_id = p_reservation_id
        -- By its key: by its status and deadline, an index would offer every open hold.
        and r.closed_at is null and r.held = v_hold.held and r.charged = v_hold.charged
        and r.expires_at > v_now
    returning r.transaction_id into v_entry_id;
    if not found then
        -- Somebody else was first.
        update ducto.credit_accounts a set
            held = a.held + v_hold.held,
            drawn = a.drawn - v_price.cost,
            headroom = a.headroom + v_price.cost
        where a.account_id = v_hold.account_id;
        return null;
    end if;
    v_free := case when v_account.draw_free then v_price.cost else 0 end;
    v_balance := v_account.balance - case when v_account.draw_free then 0 else v_account.drawn end;
    v_available := v_account.balance + v_account.allowance - v_account.held - v_account.drawn;
    insert into ducto.credit_transactions as t (
        id, account_id, actor_id, type, amount, balance_after, available_after,
        allowance_consumed, lot_id, metrics, model, operation, breakdown, pricing_version,
        plan_key, reservation_id, created_at
    ) overriding system value values (
        v_entry_id, v_hold.account_id, v_hold.actor_id, 'usage', v_free - v_price.cost,
        v_balance, nullif(v_available, v_balance), v_free,
        case when v_price.cost > 0 then v_account.draw_lot end, p_metrics,
        p_metrics ->> 'model', coalesce(v_hold.operation, p_metrics ->> 'operation'),
        case when v_price.exact <> v_price.cost then jsonb_build_object(
            'model', trim_scale(v_price.exact), 'tools', 0, 'search', 0, 'cache', 0, 'fixed', 0,
            'total', v_price.cost
        ) end,
        v_hold.pricing_version, v_hold.plan_key, p_reservation_id, v_now
    )
    returning to_jsonb(row(
        v_price.cost, t.model, trim_scale(v_price.cost - v_free), 'ok', null, t.actor_id, false,
        '[]', row(
            0, 0, case when p_metrics is null then 0 else trim_scale(v_price.exact) end, 0,
            v_price.cost, 0
        )::ducto.plain_parts,
        trim_scale(v_balance), t.id, trim_scale(v_available), t.pricing_version, v_free
    )::ducto.plain_receipt)
    into v_result;
    return v_result;
end
$$;
comment on function ducto.settle_headroom(uuid, jsonb, numeric) is
    'The result of ducto_settle, without the reservation. p_amount null as p_metrics: the rest of '
    'the hold.';

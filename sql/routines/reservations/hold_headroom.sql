-- A hold while the account's headroom is open, as ducto_deduct has a charge: it takes what is
-- available above the floor, or of the allowance, from whichever lot. The headroom keeps to the
-- rest of that, and ends with the hold's deadline. Null: something is to be decided, by ducto.hold.
create or replace function ducto.hold_headroom(
    p_hold ducto.reservation,
    p_amount numeric,
    p_ttl_seconds integer
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_price ducto.linear;
    v_hold ducto.reservation := p_hold;
    v_account ducto.account;
    v_now constant timestamptz := clock_timestamp();
begin
    if p_amount is null then
        v_price := ducto.linear_cost(p_hold.metrics);
    else
        v_price.cost := trim_scale(p_amount);
        select c.version into v_price.version from ducto.credit_pricing_config c where c.active;
    end if;
    if v_price.cost is null or current_setting('ducto.clock', true) <> '' then
        return null;
    end if;
    v_hold.expires_at := v_now + make_interval(secs => p_ttl_seconds);
    update ducto.credit_accounts a set
        held = a.held + v_price.cost,
        headroom = least(
            a.headroom, a.allowance + greatest(a.balance - a.hold_floor, 0.0) - a.drawn - a.held
                - v_price.cost
        ),
        headroom_until = least(a.headroom_until, v_hold.expires_at - interval '1 microsecond'),
        stale_at = least(a.stale_at, v_hold.expires_at),
        keyed_holds = a.keyed_holds or p_hold.idempotency_key is not null
    where a.account_id = p_hold.account_id
        and a.hold_floor is not null
        and a.allowance + greatest(a.balance - a.hold_floor, 0.0) - a.drawn - a.held
            >= v_price.cost
        and a.headroom_version = coalesce(v_price.version, 0)
        and a.headroom_until >= clock_timestamp()
        and (a.headroom_plan = any (v_price.plain_except)) is not true
    returning a.* into v_account;
    if not found then
        return null;
    end if;
    v_account.balance := v_account.balance - v_account.drawn;
    insert into ducto.credit_reservations as r (
        account_id, actor_id, amount, held, capped, counted, operation, model, expires_at,
        pricing_version, plan_key, floor, metrics, idempotency_key, fingerprint, metadata,
        created_at
    )
    select
        p_hold.account_id, p_hold.actor_id, v_price.cost, v_price.cost,
        -- What no unclaimed allowance pays would leave the balance.
        v_price.cost - least(v_price.cost, greatest(
            v_account.allowance - case when v_account.draw_free then v_account.drawn else 0 end
                - (v_account.held - v_price.cost), 0
        )),
        v_price.cost > 0, p_hold.operation, p_hold.metrics ->> 'model', v_hold.expires_at,
        nullif(v_account.headroom_version, 0), v_account.headroom_plan, v_account.hold_floor,
        p_hold.metrics, p_hold.idempotency_key, p_hold.fingerprint, p_hold.metadata, v_now
    where p_hold.idempotency_key is null or p_hold.idempotency_key is distinct from (
        -- The first key from here on: in this order only the index of keys has them.
        select t.idempotency_key from ducto.credit_transactions t
        where t.account_id = p_hold.account_id and t.idempotency_key >= p_hold.idempotency_key
        order by t.idempotency_key
        limit 1
    )
    on conflict (account_id, idempotency_key) do nothing
    returning r.* into v_hold;
    if not found then
        -- The key is used. Headroom that ends too early is no harm.
        update ducto.credit_accounts a set held = a.held - v_price.cost
        where a.account_id = p_hold.account_id;
        return null;
    end if;
    perform ducto.tell_hold(v_hold, v_now);
    return ducto.hold_result(v_hold, v_account, false);
end
$$;
comment on function ducto.hold_headroom(ducto.reservation, numeric, integer) is
    'The result of ducto_reserve. Arguments as of ducto.hold, which have been checked.';

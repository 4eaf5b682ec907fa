-- The usual settlement, as ducto_deduct has the usual charge: of the whole of an open hold, while
-- the account's headroom is open. What the hold sets aside is freed, and what it costs is taken out
-- of the headroom. That does not grow by what is freed: of a hold taken before the headroom was
-- opened it never was a part. Every other settlement is ducto.settle's.
create or replace function public.ducto_settle(
    p_reservation_id uuid,
    p_metrics jsonb default null,
    p_amount numeric default null,
    p_final boolean default true,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_raise boolean default true
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_hold ducto.reservation;
    v_price ducto.linear;
    v_version integer;
    v_lot_id bigint;
    v_free numeric;
    v_balance numeric;
    v_available numeric;
    v_now timestamptz;
    v_entry_id bigint;
    v_result jsonb;
begin
    if p_final is not false and p_idempotency_key is null and p_metadata = '{}'
        and (p_amount is null or p_metrics is null)
        and (current_setting('ducto.clock', true) <> '') is not true
    then
        select r.* into v_hold from ducto.credit_reservations r
        where r.reservation_id = p_reservation_id and r.closed_at is null
            and r.expires_at > clock_timestamp();
        if p_metrics is not null then
            v_price := ducto.linear_cost(p_metrics);
            v_version := v_price.version;
        elsif p_amount is null or p_amount between 0.0 and 1e25 and scale(p_amount) <= 12 then
            v_price.version := v_hold.pricing_version;
            v_price.exact := trim_scale(
                coalesce(p_amount, greatest(v_hold.amount - v_hold.charged, 0.0))
            );
            v_price.cost := v_price.exact;
            select c.version into v_version from ducto.credit_pricing_config c where c.active;
        end if;
    end if;
    if v_price.cost is not null and v_price.version = v_hold.pricing_version then
        update ducto.credit_accounts a set
            held = a.held - v_hold.held,
            drawn = a.drawn + v_price.cost,
            headroom = a.headroom - v_price.cost
        where a.account_id = v_hold.account_id
            and a.hold_floor is not null
            -- Above the hold, what is available above its floor.
            and (v_price.cost <= v_hold.held or a.balance + a.allowance - a.drawn - a.held
                - v_hold.floor >= v_price.cost - v_hold.held)
            and a.headroom >= v_price.cost
            and a.headroom_version = v_version
            and a.headroom_until >= clock_timestamp()
            and (v_hold.plan_key = any (v_price.plain_except)) is not true
            -- Never what another hold has claimed.
            and a.balance + a.allowance - a.drawn - (a.held - v_hold.held) >= v_price.cost
        returning a.draw_lot, case when a.draw_free then v_price.cost else 0 end,
            a.balance - case when a.draw_free then 0 else a.drawn end,
            a.balance + a.allowance - a.held - a.drawn,
            -- Dated after what it may have waited for.
            least(clock_timestamp(), a.headroom_until)
        into v_lot_id, v_free, v_balance, v_available, v_now;
    end if;
    if v_now is not null then
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
        if found then
            insert into ducto.credit_transactions as t (
                id, account_id, actor_id, type, amount, balance_after, available_after,
                allowance_consumed, lot_id, metrics, model, operation, breakdown,
                pricing_version, plan_key, reservation_id, created_at
            ) overriding system value values (
                v_entry_id, v_hold.account_id, v_hold.actor_id, 'usage', v_free - v_price.cost,
                v_balance, nullif(v_available, v_balance), v_free,
                case when v_price.cost > 0.0 then v_lot_id end, p_metrics, p_metrics ->> 'model',
                coalesce(v_hold.operation, p_metrics ->> 'operation'),
                case when v_price.exact <> v_price.cost
                    then ducto.model_breakdown(v_price.exact, v_price.cost) end,
                v_hold.pricing_version, v_hold.plan_key, p_reservation_id, v_now
            )
            returning to_jsonb(row(
                v_price.cost, t.model, trim_scale(v_price.cost - v_free), 'ok', null, t.actor_id,
                false, '[]', row(
                    0, 0, case when p_metrics is null then 0 else trim_scale(v_price.exact) end,
                    0, v_price.cost, 0
                )::ducto.plain_parts,
                trim_scale(v_balance), p_reservation_id, t.id, trim_scale(v_available),
                t.pricing_version, v_free
            )::ducto.settlement)
            into v_result;
            return v_result;
        end if;
        -- Somebody else was first.
        update ducto.credit_accounts a set
            held = a.held + v_hold.held,
            drawn = a.drawn - v_price.cost,
            headroom = a.headroom + v_price.cost
        where a.account_id = v_hold.account_id;
    end if;
    return ducto.settle(
        p_reservation_id, p_metrics, p_amount, p_final, p_idempotency_key, p_metadata, p_raise
    );
end
$$;
comment on function public.ducto_settle(
    uuid, jsonb, numeric, boolean, text, jsonb, boolean
) is
    'Charges what a hold was taken for: p_metrics at the hold''s pinned price, p_amount, or the '
    'rest of the hold. Less than the hold frees the rest; more takes the difference from what is '
    'available above the floor, and the remainder becomes debt. p_final false charges a part and '
    'keeps the rest held. After the deadline (and the configured grace) it is refused with DU011; '
    'with p_raise false the refusal is returned and leaves a credits.unbilled_usage event. '
    'Errors: DU004, DU007, DU010, DU011, DU017, DU018, DU022. Callers: service, admin. '
    'Idempotent: a final settlement by its reservation, a partial one by p_idempotency_key.';

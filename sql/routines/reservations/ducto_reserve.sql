-- The usual hold, as ducto_deduct has the usual charge. While the account's headroom is open, a
-- hold takes what is available above the floor, or of the allowance, from whichever lot. The
-- headroom keeps to the rest of that, and ends with the hold's deadline. Every other hold is
-- ducto.reserve's.
create or replace function public.ducto_reserve(
    p_user_id text,
    p_amount numeric default null,
    p_metrics jsonb default null,
    p_operation_type text default null,
    p_ttl_seconds integer default 600,
    p_min_balance numeric default null,
    p_required_feature text default null,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_raise boolean default true,
    p_team_id text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_price ducto.linear;
    v_now timestamptz := clock_timestamp();
    v_expires_at timestamptz;
    v_operation text;
    v_plan_key text;
    v_floor numeric;
    v_capped numeric;
    v_available numeric;
    v_reservation_id uuid;
    v_result jsonb;
begin
    if p_team_id is null and p_min_balance is null and p_required_feature is null
        and p_ttl_seconds between 1 and 604800
        and (length(p_operation_type) between 1 and 200) is not false
        and (length(p_idempotency_key) between 1 and 255) is not false
        and (p_metadata = '{}' or jsonb_typeof(p_metadata) = 'object'
            and octet_length(p_metadata::text) <= 65536)
        and (current_setting('ducto.clock', true) <> '') is not true
    then
        if p_amount is null then
            v_price := ducto.linear_cost(p_metrics);
        elsif p_metrics is null and p_amount between 0.0 and 1e25 and scale(p_amount) <= 12 then
            v_price.cost := trim_scale(p_amount);
            select c.version into v_price.version from ducto.credit_pricing_config c where c.active;
        end if;
    end if;
    if v_price.cost is not null then
        -- Of the call: the hold's own deadline is counted from when it has the account's row. That
        -- the account is looked at too early is no harm.
        v_expires_at := v_now + make_interval(secs => p_ttl_seconds);
        v_operation := coalesce(p_operation_type, p_metrics ->> 'operation');
        update ducto.credit_accounts a set
            held = a.held + v_price.cost,
            headroom = least(
                a.headroom, a.allowance + greatest(a.balance - a.hold_floor, 0.0) - a.drawn
                    - a.held - v_price.cost
            ),
            headroom_until = least(a.headroom_until, v_expires_at - interval '1 microsecond'),
            stale_at = least(a.stale_at, v_expires_at),
            keyed_holds = a.keyed_holds or p_idempotency_key is not null
        where a.account_id = p_user_id
            and a.hold_floor is not null
            and a.allowance + greatest(a.balance - a.hold_floor, 0.0) - a.drawn - a.held
                >= v_price.cost
            and a.headroom_version = coalesce(v_price.version, 0)
            and a.headroom_until >= clock_timestamp()
            and (a.headroom_plan = any (v_price.plain_except)) is not true
        returning a.headroom_plan, a.hold_floor, a.balance + a.allowance - a.drawn - a.held,
            clock_timestamp(),
            -- What no unclaimed allowance pays would leave the balance.
            v_price.cost - least(v_price.cost, greatest(
                a.allowance - case when a.draw_free then a.drawn else 0 end
                    - (a.held - v_price.cost), 0.0
            ))
        into v_plan_key, v_floor, v_available, v_now, v_capped;
    end if;
    if v_available is not null then
        v_expires_at := v_now + make_interval(secs => p_ttl_seconds);
        insert into ducto.credit_reservations as r (
            account_id, actor_id, amount, held, capped, counted, operation, model, expires_at,
            pricing_version, plan_key, floor, metrics, idempotency_key, fingerprint, metadata,
            created_at
        )
        select
            p_user_id, p_user_id, v_price.cost, v_price.cost, v_capped, v_price.cost > 0.0,
            v_operation, p_metrics ->> 'model', v_expires_at, v_price.version, v_plan_key,
            v_floor, p_metrics, p_idempotency_key,
            -- As ducto.fingerprint has it: a call costs a twentieth of the hold.
            case when p_idempotency_key is not null then sha256(convert_to(array[
                'reserve', p_user_id, p_user_id, v_operation, p_metrics::text,
                trim_scale(p_amount)::text
            ]::text, 'UTF8')) end,
            nullif(p_metadata, '{}'), v_now
        where p_idempotency_key is null or p_idempotency_key is distinct from (
            -- The first key from here on: in this order only the index of keys has them.
            select t.idempotency_key from ducto.credit_transactions t
            where t.account_id = p_user_id and t.idempotency_key >= p_idempotency_key
            order by t.idempotency_key
            limit 1
        )
        on conflict (account_id, idempotency_key) do nothing
        returning r.reservation_id, to_jsonb(row(
            v_price.cost, r.status, v_price.cost, 'ok', p_user_id, false, trim_scale(v_available),
            r.expires_at, r.reservation_id, v_price.version
        )::ducto.hold_receipt)
        into v_reservation_id, v_result;
        if found then
            insert into ducto.credit_events (account_id, actor_id, type, created_at, data)
            values (
                p_user_id, p_user_id, 'credits.reserved', v_now, jsonb_build_object(
                    'reservation_id', v_reservation_id,
                    'amount', v_price.cost,
                    'expires_at', v_expires_at
                )
            );
            return v_result;
        end if;
        -- The key is used. Headroom that ends too early is no harm.
        update ducto.credit_accounts a set held = a.held - v_price.cost
        where a.account_id = p_user_id;
    end if;
    return ducto.reserve(
        p_user_id, p_amount, p_metrics, p_operation_type, p_ttl_seconds, p_min_balance,
        p_required_feature, p_idempotency_key, p_metadata, p_raise, p_team_id
    );
end
$$;
comment on function public.ducto_reserve(
    text, numeric, jsonb, text, integer, numeric, text, text, jsonb, boolean, text
) is
    'Sets credits aside until they are settled, released or p_ttl_seconds (1 to 604800) have '
    'passed: p_amount, or what p_metrics cost. Pins the pricing version. p_operation_type selects '
    'the plan''s policy, p_min_balance may raise its floor, p_required_feature must be in the '
    'plan. p_team_id: of the team, for its member p_user_id. p_raise false returns a denial '
    'instead of raising it. Errors: DU003, DU004, DU007, DU015, DU016, DU017, DU022; denials: '
    'DU001, DU002, DU012, DU013, DU019. Callers: service, admin. Idempotent by p_idempotency_key.';

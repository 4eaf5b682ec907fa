-- The usual charge. Most charges decide nothing: the same plan, the same lot, far from every limit.
-- How far that holds is the account's headroom, and such a charge is one statement: it prices the
-- usage, takes the price out of the headroom, writes the ledger row and builds the result. One
-- statement, because what runs once per transaction runs cold: each further statement or expression
-- costs most in that place. Who waits for the row sees it as the one before left it: the conditions
-- of the update are checked again. Where they do not hold, ducto.charge_in_full decides.
create or replace function ducto.charge(
    p_account_id text,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_occurred_at timestamptz,
    p_raise boolean
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v_result jsonb;
    v_cost numeric;
begin
    with price as materialized (
        -- A sum of products of metrics and constants is computed here, the rest by the evaluator.
        select s.*,
            coalesce((s.told -> 'cost')::numeric, round(s.exact, s.plain_scale), p_amount) as cost
        from (
            select f.*, case when f.exact is null and p_amount is null
                and jsonb_typeof(p_metrics) = 'object' and octet_length(p_metrics::text) <= 65536
                then ducto.price_usage(f.version, f.plan_key, p_metrics) end as told
            from (
                select coalesce(c.version, 0) as version, r.plain_scale, r.plain_except,
                    case when coalesce(current_setting('ducto.clock', true), '') = ''
                        then clock_timestamp() else ducto.now() end as clock,
                    case when r.factors is null then (
                        select a.headroom_plan from ducto.credit_accounts a
                        where a.account_id = p_account_id
                    ) end as plan_key,
                    r.factors[1]
                        + coalesce((p_metrics -> r.names[1])::numeric * r.factors[2], 0)
                        + coalesce((p_metrics -> r.names[2])::numeric * r.factors[3], 0)
                        + coalesce((p_metrics -> r.names[3])::numeric * r.factors[4], 0)
                        + coalesce((p_metrics -> r.names[4])::numeric * r.factors[5], 0) as exact
                from (values (true)) one (row)
                left join ducto.credit_pricing_config c on c.active
                left join ducto.credit_rates r
                    on r.version = c.version and r.plan_key = '' and r.section = 'models'
                    and r.key = p_metrics ->> 'model' and r.factors is not null
                    and r.plain_scale is not null
                    and jsonb_typeof(p_metrics -> 'model') = 'string'
                    and p_metrics - '{
                        model,input_tokens,output_tokens,total_tokens,cached_tokens,
                        cache_read_tokens,cache_write_tokens,cache_creation_tokens,cache_hits,
                        cache_misses,search_calls,search_queries,search_results,requests,
                        web_search_calls,code_exec_calls,reasoning_tokens
                    }'::text[] = '{}'
                    and not p_metrics - 'model' @? 'strict $.* ? (@.type() != "number"
                        || @ < 0 || @ > 100000000000 || @.floor() != @)'
                offset 0
            ) f
            offset 0
        ) s
    ), account as (
        update ducto.credit_accounts a set
            drawn = a.drawn + p.cost,
            headroom = a.headroom - p.cost
        from price p
        where a.account_id = p_account_id
            and a.headroom >= p.cost
            and a.headroom_version = p.version
            and a.headroom_until > case
                when coalesce(current_setting('ducto.clock', true), '') = ''
                then clock_timestamp() else ducto.now() end
            and case when p.plain_scale is null
                then a.headroom_plan is not distinct from p.plan_key
                else a.headroom_plan is null or a.headroom_plan <> all (p.plain_except) end
            and (p_amount is null or p_amount >= 0 and scale(p_amount) <= 12)
            and (p_occurred_at is null or p_occurred_at between '0001-01-01 00:00Z' and p.clock)
            and (p_metadata is null or p_metadata = '{}' or jsonb_typeof(p_metadata) = 'object'
                and octet_length(p_metadata::text) <= 65536)
            and (p_idempotency_key is null or length(p_idempotency_key) between 1 and 255
                and (not a.keyed_holds or not exists (
                    select from ducto.credit_reservations r
                    where r.account_id = p_account_id and r.idempotency_key = p_idempotency_key
                )))
        returning a.kind, a.draw_lot, a.headroom_plan, p.version, p.cost, p.exact, p.told,
            case when a.draw_free then p.cost else 0 end as free,
            case when a.draw_free then 0 else p.cost end as amount,
            a.balance - case when a.draw_free then 0 else a.drawn end as balance_after,
            a.balance + a.allowance - a.held - a.drawn as available_after,
            -- Within the headroom's time, also where it ends between the two looks at the clock.
            least(a.headroom_until - interval '1 microsecond', case
                when coalesce(current_setting('ducto.clock', true), '') = ''
                then clock_timestamp() else ducto.now() end) as created_at
    ), entry as (
        insert into ducto.credit_transactions (
            account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, lot_id, metrics, model, operation, breakdown, pricing_version,
            plan_key, warnings, idempotency_key, metadata, occurred_at, created_at
        )
        select p_account_id, p_actor_id, 'usage', -a.amount, a.balance_after,
            nullif(a.available_after, a.balance_after), a.free,
            case when a.cost > 0 then a.draw_lot end,
            p_metrics, p_metrics ->> 'model', p_metrics ->> 'operation',
            case when a.told is not null
                then nullif(a.told -> 'breakdown', ducto.plain_breakdown(p_metrics, a.cost))
                when a.exact <> a.cost then ducto.model_breakdown(a.exact, a.cost) end,
            nullif(a.version, 0), a.headroom_plan, nullif(a.told -> 'warnings', '[]'),
            p_idempotency_key, nullif(p_metadata, '{}'), p_occurred_at, a.created_at
        from account a
        on conflict (account_id, idempotency_key) do nothing
        returning id
    )
    select case when e.id is not null then jsonb_build_object(
            'status', 'ok',
            'transaction_id', e.id,
            'user_id', p_actor_id,
            'team_id', case when a.kind = 'team' then p_account_id end,
            'model', p_metrics -> 'model',
            'cost', trim_scale(a.cost),
            'allowance_consumed', trim_scale(a.free),
            'amount', trim_scale(a.amount),
            'balance_after', trim_scale(a.balance_after),
            'available_after', trim_scale(a.available_after),
            'pricing_version', nullif(a.version, 0),
            'breakdown', case
                when a.told is not null then a.told -> 'breakdown'
                when a.exact is null then ducto.plain_breakdown(p_metrics, a.cost)
                else jsonb_build_object(
                    'model', trim_scale(a.exact), 'tools', 0, 'search', 0, 'cache', 0, 'fixed', 0,
                    'total', trim_scale(a.cost)
                ) end,
            'warnings', coalesce(a.told -> 'warnings', '[]'),
            'replayed', false
        ) end, a.cost
    into v_result, v_cost
    from account a
    left join entry e on true;
    if v_result is not null then
        return v_result;
    end if;
    if v_cost is not null then
        -- The key is used: what was taken goes back, and the pipeline finds the entry.
        update ducto.credit_accounts a set
            drawn = a.drawn - v_cost, headroom = a.headroom + v_cost
        where a.account_id = p_account_id;
    end if;
    v_result := coalesce(
        ducto.check_charge(
            p_account_id, p_metrics, p_amount, p_idempotency_key, p_metadata, p_occurred_at
        ),
        ducto.charge_in_full(
            ducto.lock_account(p_account_id), p_actor_id, p_metrics, p_amount,
            p_idempotency_key, p_metadata, p_occurred_at, null
        )
    );
    if p_raise is null or v_result ->> 'status' = 'ok' then
        return v_result;
    end if;
    return ducto.finish(v_result, p_account_id, p_actor_id, p_raise);
end
$$;
comment on function ducto.charge(
    text, text, jsonb, numeric, text, jsonb, timestamptz, boolean
) is
    'Charges p_metrics, or p_amount where they are null, of p_actor_id to p_account_id. p_raise: '
    'true raises what may not happen, false records and returns a denial, null returns anything.';

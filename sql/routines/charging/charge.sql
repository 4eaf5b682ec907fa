-- The usual charge. Most charges decide nothing: the same plan, the same lot, far from every limit.
-- How far that holds is the account's headroom, and such a charge is two statements: one prices the
-- usage and takes the price out of the headroom, one writes the ledger row and builds the result.
-- Two and no more, because what runs once per transaction runs cold: each further statement or
-- expression costs most in that place. Who waits for the row sees it as the one before left it: the
-- conditions of the update are checked again. Where something must be decided, ducto.charge_in_full
-- does.
create or replace function ducto.charge(
    p_account_id text,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_occurred_at timestamptz,
    p_raise boolean,
    p_opened boolean default false
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kind ducto.account_kind;
    v_lot_id bigint;
    v_version integer;
    v_plan_key text;
    v_cost numeric;
    v_free numeric;
    v_balance numeric;
    v_available numeric;
    v_created_at timestamptz;
    v_exact numeric;
    v_parts jsonb;
    v_stored jsonb;
    v_warnings jsonb;
    v_result jsonb;
begin
    update ducto.credit_accounts a set
        drawn = a.drawn + p.cost,
        headroom = a.headroom - p.cost
    from (
        select r.version, r.plain_except, n.exact, trim_scale(round(n.exact, r.scale)) as cost
        from ducto.credit_linear_rates r
        cross join lateral (
            select r.constant
                + coalesce((p_metrics -> r.metric_1)::numeric * r.factor_1, 0)
                + coalesce((p_metrics -> r.metric_2)::numeric * r.factor_2, 0)
                + coalesce((p_metrics -> r.metric_3)::numeric * r.factor_3, 0)
                + coalesce((p_metrics -> r.metric_4)::numeric * r.factor_4, 0) as exact
            offset 0
        ) n
        -- Whole numbers of standard metrics; whatever else is sent, the evaluator prices or
        -- refuses.
        where r.model = p_metrics ->> 'model'
            and jsonb_typeof(p_metrics -> 'model') = 'string'
            and p_metrics - '{
                model,operation,input_tokens,output_tokens,total_tokens,cached_tokens,
                cache_read_tokens,cache_write_tokens,cache_creation_tokens,cache_hits,cache_misses,
                search_calls,search_queries,search_results,requests,web_search_calls,
                code_exec_calls,reasoning_tokens
            }'::text[] = '{}'
            and not p_metrics - '{model,operation}'::text[] @? 'strict $.* ? (@.type() != "number"
                || @ < 0 || @ > 100000000000 || @.floor() != @)'
        offset 0
    ) p
    where a.account_id = p_account_id
        and a.headroom >= p.cost
        and a.headroom_version = p.version
        and a.headroom_until > clock_timestamp()
        and case
            when a.headroom_plan = any (p.plain_except)
                or length(p_idempotency_key) not between 1 and 255
                or current_setting('ducto.clock', true) <> '' then false
            when p_metadata <> '{}' or p_occurred_at is not null or p_metrics ? 'operation'
                or a.keyed_holds and p_idempotency_key is not null
                then ducto.may_draw(
                    p_account_id, p_metrics, p_idempotency_key, p_metadata, p_occurred_at
                )
            else true end
        and case when a.kind = 'team' or p_actor_id <> p_account_id
            then ducto.may_spend(a.kind, p_account_id, p_actor_id) else true end
    returning a.kind, a.draw_lot, p.version, a.headroom_plan, p.cost,
        case when a.draw_free then p.cost else 0 end,
        a.balance - case when a.draw_free then 0 else a.drawn end,
        a.balance + a.allowance - a.held - a.drawn,
        -- Within the headroom's time, also where it ends between the two looks at the clock.
        least(clock_timestamp(), a.headroom_until - interval '1 microsecond'),
        trim_scale(p.exact),
        case when p.exact <> p.cost then ducto.model_breakdown(p.exact, p.cost) end
    into v_kind, v_lot_id, v_version, v_plan_key, v_cost, v_free, v_balance, v_available,
        v_created_at, v_exact, v_stored;
    if not found then
        -- Not a sum of products, or no headroom.
        select d.kind, d.lot_id, d.version, d.plan_key, d.cost, d.free, d.balance_after,
            d.available_after, d.created_at, d.parts, d.stored, d.warnings
        into v_kind, v_lot_id, v_version, v_plan_key, v_cost, v_free, v_balance, v_available,
            v_created_at, v_parts, v_stored, v_warnings
        from ducto.draw_headroom(
            p_account_id, p_actor_id, p_metrics, p_amount, p_idempotency_key, p_metadata,
            p_occurred_at
        ) d;
    end if;
    if v_cost is not null then
        insert into ducto.credit_transactions as t (
            account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, lot_id, metrics, model, operation, breakdown, pricing_version,
            plan_key, warnings, idempotency_key, metadata, occurred_at, created_at
        ) values (
            p_account_id, p_actor_id, 'usage', v_free - v_cost, v_balance,
            nullif(v_available, v_balance), v_free,
            case when v_cost > 0 then v_lot_id end,
            p_metrics, p_metrics ->> 'model', p_metrics ->> 'operation', v_stored, v_version,
            v_plan_key, v_warnings, p_idempotency_key, nullif(p_metadata, '{}'), p_occurred_at,
            v_created_at
        )
        on conflict (account_id, idempotency_key) do nothing
        returning to_jsonb(row(
            'ok', t.id, p_actor_id, case when v_kind = 'team' then p_account_id end, t.model,
            v_cost, v_free, v_cost - v_free, trim_scale(v_balance), trim_scale(v_available),
            v_version, coalesce(v_parts, concat(
                '{"tools":0,"search":0,"cache":0,"fixed":0,"model":', v_exact,
                ',"total":', v_cost, '}'
            )::jsonb), coalesce(v_warnings, '[]'), false
        )::ducto.receipt)
        into v_result;
        if found then
            return v_result;
        end if;
    end if;
    v_result := ducto.charge_otherwise(
        p_account_id, p_actor_id, p_metrics, p_amount, p_idempotency_key, p_metadata,
        p_occurred_at, v_cost, p_opened
    );
    if p_raise is null or v_result ->> 'status' = 'ok' then
        return v_result;
    end if;
    return ducto.finish(v_result, p_account_id, p_actor_id, p_raise);
end
$$;
comment on function ducto.charge(
    text, text, jsonb, numeric, text, jsonb, timestamptz, boolean, boolean
) is
    'Charges p_metrics, or p_amount where they are null, of p_actor_id to p_account_id. p_raise: '
    'true raises what may not happen, false records and returns a denial, null returns anything. '
    'p_opened: the headroom has just been opened for this charge.';

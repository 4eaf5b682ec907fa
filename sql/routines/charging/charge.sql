-- The usual charge. Most charges decide nothing: the same plan, the same lot, far from every limit.
-- How far that holds is the account's headroom, and such a charge is two statements: one prices the
-- usage and takes the price out of the headroom, one writes the ledger row and builds the result.
-- Two and no more, because what runs once per transaction runs cold: each further statement or
-- expression costs most in that place. Who waits for the row sees it as the one before left it: the
-- conditions of the update are checked again; and the insert, which begins with the row locked, sees
-- every entry of the account, so that a used key needs no conflict to be found. Where something must
-- be decided, ducto.charge_in_full does.
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
    v_drawn ducto.drawn;
    v_result jsonb;
begin
    update ducto.credit_accounts a set
        drawn = a.drawn + p.cost,
        headroom = a.headroom - p.cost
    from (
        select r.version, r.plain_except, n.exact, round(n.exact, r.scale) as cost
        from ducto.credit_linear_rates r
        cross join lateral (
            select r.constant
                + coalesce((p_metrics -> r.metric_1)::numeric * r.factor_1, 0)
                + coalesce((p_metrics -> r.metric_2)::numeric * r.factor_2, 0)
                + coalesce((p_metrics -> r.metric_3)::numeric * r.factor_3, 0)
                + coalesce((p_metrics -> r.metric_4)::numeric * r.factor_4, 0) as exact
            offset 0
        ) n
        -- Whole numbers of standard metrics; whatever else is sent, the evaluator prices or refuses.
        where r.model = p_metrics ->> 'model'
            and jsonb_typeof(p_metrics -> 'model') = 'string'
            and p_metrics - '{
                model,input_tokens,output_tokens,total_tokens,cached_tokens,cache_read_tokens,
                cache_write_tokens,cache_creation_tokens,cache_hits,cache_misses,search_calls,
                search_queries,search_results,requests,web_search_calls,code_exec_calls,
                reasoning_tokens
            }'::text[] = '{}'
            and not p_metrics - 'model' @? 'strict $.* ? (@.type() != "number"
                || @ < 0 || @ > 100000000000 || @.floor() != @)'
        offset 0
    ) p
    where a.account_id = p_account_id
        and a.headroom >= p.cost
        and a.headroom_version = p.version
        and (a.headroom_plan is null or a.headroom_plan <> all (p.plain_except))
        and a.headroom_until > case when coalesce(current_setting('ducto.clock', true), '') = ''
            then clock_timestamp() else ducto.now() end
        and case
            when p_idempotency_key is not null and length(p_idempotency_key) not between 1 and 255
                then false
            when p_metadata <> '{}' or p_occurred_at is not null then ducto.check_charge(
                p_account_id, p_metrics, null, p_idempotency_key, p_metadata, p_occurred_at
            ) is null
            else true end
    returning a.kind, a.keyed_holds, a.draw_lot, p.version, a.headroom_plan, p.cost, p.exact,
        case when a.draw_free then p.cost else 0 end,
        a.balance - case when a.draw_free then 0 else a.drawn end,
        a.balance + a.allowance - a.held - a.drawn,
        -- Within the headroom's time, also where it ends between the two looks at the clock.
        least(a.headroom_until - interval '1 microsecond', case
            when coalesce(current_setting('ducto.clock', true), '') = ''
            then clock_timestamp() else ducto.now() end), null
    into v_drawn;
    if not found then
        -- Not a sum of products, or no headroom.
        v_drawn := ducto.draw_headroom(
            p_account_id, p_metrics, p_amount, p_idempotency_key, p_metadata, p_occurred_at
        );
    end if;
    if v_drawn.cost is not null then
        insert into ducto.credit_transactions as t (
            account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, lot_id, metrics, model, operation, breakdown, pricing_version,
            plan_key, warnings, idempotency_key, metadata, occurred_at, created_at
        )
        select p_account_id, p_actor_id, 'usage', v_drawn.free - v_drawn.cost,
            v_drawn.balance_after, nullif(v_drawn.available_after, v_drawn.balance_after),
            v_drawn.free, case when v_drawn.cost > 0 then v_drawn.lot_id end,
            p_metrics, p_metrics ->> 'model', p_metrics ->> 'operation',
            case
                when v_drawn.told is not null then nullif(
                    v_drawn.told -> 'breakdown', ducto.plain_breakdown(p_metrics, v_drawn.cost)
                )
                when v_drawn.exact <> v_drawn.cost
                    then ducto.model_breakdown(v_drawn.exact, v_drawn.cost)
            end,
            v_drawn.version, v_drawn.plan_key, nullif(v_drawn.told -> 'warnings', '[]'),
            p_idempotency_key, nullif(p_metadata, '{}'), p_occurred_at, v_drawn.created_at
        where p_idempotency_key is null or not exists (
            select from ducto.credit_transactions k
            where k.account_id = p_account_id and k.idempotency_key = p_idempotency_key
        ) and not (v_drawn.keyed_holds and exists (
            select from ducto.credit_reservations r
            where r.account_id = p_account_id and r.idempotency_key = p_idempotency_key
        ))
        returning to_jsonb(row(
            'ok', t.id, t.actor_id, case when v_drawn.kind = 'team' then t.account_id end, t.model,
            trim_scale(v_drawn.cost), trim_scale(v_drawn.free),
            trim_scale(v_drawn.cost - v_drawn.free), trim_scale(v_drawn.balance_after),
            trim_scale(v_drawn.available_after), t.pricing_version,
            coalesce(v_drawn.told -> 'breakdown', to_jsonb(row(
                trim_scale(v_drawn.exact), 0, 0, 0, 0, trim_scale(v_drawn.cost)
            )::ducto.breakdown)),
            coalesce(v_drawn.told -> 'warnings', '[]'), false
        )::ducto.receipt)
        into v_result;
        if found then
            return v_result;
        end if;
    end if;
    v_result := ducto.charge_otherwise(
        p_account_id, p_actor_id, p_metrics, p_amount, p_idempotency_key, p_metadata,
        p_occurred_at, v_drawn.cost
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

-- The usual charge. Most charges decide nothing: the same plan, the same lot, far from every limit.
-- How far that holds is the account's headroom, and such a charge is three statements, each of one
-- table: the price of the usage, the update that takes it out of the headroom, the ledger row with
-- the result. What runs once per transaction runs cold, so that each further statement, join, call
-- or expression costs most in this place. Who waits for the row sees it as the one before left it:
-- the conditions of the update are checked again. Where it finds no row, ducto.charge_closed opens
-- the headroom or charges in full; every other charge is ducto.charge's.
create or replace function public.ducto_deduct(
    p_user_id text,
    p_metrics jsonb,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_raise boolean default true,
    p_occurred_at timestamptz default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_price ducto.linear;
    v_scale integer;
    v_metric_3 text;
    v_factor_3 numeric;
    v_metric_4 text;
    v_factor_4 numeric;
    v_breakdown jsonb;
    v_model text;
    v_operation text;
    v ducto.drawn;
    v_amount numeric;
    v_result jsonb;
begin
    -- A sum of products of whole numbers, written without a point; the evaluator prices or refuses
    -- all else. One condition: what the row has no part in would be a node of the plan by itself.
    select r.version, r.plain_except, r.scale, p_metrics ->> 'model', p_metrics ->> 'operation',
        trim_scale(
            r.constant
            + coalesce((p_metrics -> r.metric_1)::numeric * r.factor_1, 0)
            + coalesce((p_metrics -> r.metric_2)::numeric * r.factor_2, 0)
        ),
        r.metric_3, r.factor_3, r.metric_4, r.factor_4
    into v_price.version, v_price.plain_except, v_scale, v_model, v_operation, v_price.exact,
        v_metric_3, v_factor_3, v_metric_4, v_factor_4
    from ducto.credit_linear_rates r
    where r.model = p_metrics -> 'model'
        and case when p_metrics - r.metrics = '{}' then
            not p_metrics - '{model,operation}'::text[] @? 'strict $.* ? (
                @.type() != "number" || @ < 0 || @ > 100000000000)'
            and (p_metrics - '{model,operation}'::text[])::text not like '%.%'
            and (p_idempotency_key <> '' and octet_length(p_idempotency_key) < 256) is not false
            and (current_setting('ducto.clock', true) <> '') is not true
            and case
                when p_metadata = '{}' and p_occurred_at is null and not p_metrics ? 'operation'
                    then true
                else ducto.may_draw(p_user_id, p_metrics, p_metadata, p_occurred_at) end
            end;
    if found then
        if v_metric_3 is not null then
            -- By themselves, because most prices have two terms, and each costs a percent.
            v_price.exact := trim_scale(
                v_price.exact
                + coalesce((p_metrics -> v_metric_3)::numeric * v_factor_3, 0)
                + coalesce((p_metrics -> v_metric_4)::numeric * v_factor_4, 0)
            );
        end if;
        v_price.cost := v_price.exact;
        if v_scale is not null then
            v_price.cost := trim_scale(round(v_price.exact, v_scale));
            if v_price.cost <> v_price.exact then
                v_breakdown := ducto.model_breakdown(v_price.exact, v_price.cost);
            end if;
        end if;
        update ducto.credit_accounts a set
            drawn = a.drawn + v_price.cost,
            headroom = a.headroom - v_price.cost
        where a.account_id = p_user_id
            and a.kind = 'user'
            and a.headroom >= v_price.cost
            and a.headroom_version = v_price.version
            and a.headroom_until >= clock_timestamp()
            and (a.headroom_models is null or a.headroom_models[2] = v_model)
            and (v_operation = any (a.headroom_except)) is not true
            and case when a.headroom_plan is null then true
                else a.headroom_plan <> all (v_price.plain_except) end
            and case when a.keyed_holds and p_idempotency_key is not null
                then ducto.check_hold_key(p_user_id, p_idempotency_key, null) is null
                else true end
        returning a.draw_lot, a.headroom_plan,
            case when a.draw_free then v_price.cost else 0 end,
            case when a.draw_free then 0 else v_price.cost end,
            a.balance - case when a.draw_free then 0 else a.drawn end,
            a.balance + a.allowance - a.held - a.drawn,
            -- Within the headroom's time, also where it ends between the two looks at the clock.
            least(clock_timestamp(), a.headroom_until)
        into v.lot_id, v.plan_key, v.free, v_amount, v.balance_after, v.available_after,
            v.created_at;
        if not found then
            if v_price.plain_except = '{}' and length(p_user_id) between 1 and 200 then
                v := ducto.charge_closed(
                    p_user_id, p_user_id, p_metrics, null, p_idempotency_key, p_metadata,
                    p_occurred_at, v_price
                );
                v_amount := trim_scale(v_price.cost - v.free);
            end if;
        end if;
    end if;
    if v.created_at is not null then
        insert into ducto.credit_transactions as t (
            account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, lot_id, metrics, model, operation, breakdown, pricing_version,
            plan_key, idempotency_key, metadata, occurred_at, created_at
        ) values (
            p_user_id, p_user_id, 'usage', -v_amount, v.balance_after,
            nullif(v.available_after, v.balance_after), v.free,
            case when v_price.cost > 0.0 then v.lot_id end, p_metrics, v_model, v_operation,
            v_breakdown, v_price.version, v.plan_key, p_idempotency_key, nullif(p_metadata, '{}'),
            p_occurred_at, v.created_at
        )
        on conflict (account_id, idempotency_key) do nothing
        returning to_jsonb(row(
            v_price.cost, v_model, v_amount, 'ok', null, p_user_id, false, '[]',
            row(0, 0, v_price.exact, 0, v_price.cost, 0)::ducto.plain_parts,
            trim_scale(v.balance_after), t.id, trim_scale(v.available_after), v_price.version,
            v.free
        )::ducto.plain_receipt)
        into v_result;
        if found then
            return v_result;
        end if;
    elsif v.result is not null then
        return ducto.finish(v.result, p_user_id, p_user_id, p_raise);
    end if;
    v_price.version := coalesce(v_price.version, 0);
    return ducto.charge(
        p_user_id, p_user_id, coalesce(p_metrics, 'null'), null, p_idempotency_key, p_metadata,
        p_occurred_at, coalesce(p_raise, true), v_price, v.created_at is not null
    );
end
$$;
comment on function public.ducto_deduct(text, jsonb, text, jsonb, boolean, timestamptz) is
    'Prices p_metrics ({"model": "m", "input_tokens": 9}) with the active pricing and charges them '
    'to the user, in the caller''s transaction. p_occurred_at: when the usage happened, where it '
    'is reported later. p_raise false returns a denial instead of raising it. Errors: DU003, '
    'DU004, DU007, DU017, DU018, DU022; denials: DU001, DU002, DU013, DU019. Callers: service, '
    'admin. Idempotent by p_idempotency_key.';

-- Every charge that ducto_deduct does not settle by itself, of a user or a team: within the
-- headroom at a price that is told (ducto.draw_headroom), or where that is closed
-- (ducto.charge_closed). Where the key is used, what was drawn goes back and the first result is
-- replayed.
create or replace function ducto.charge(
    p_account_id text,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_occurred_at timestamptz,
    p_raise boolean,
    p_linear ducto.linear default null,
    p_drawn boolean default false
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_result jsonb := coalesce(
        case when p_actor_id is distinct from p_account_id
            then ducto.check_payer(p_account_id, p_actor_id) end,
        ducto.check_charge(
            p_account_id, p_metrics, p_amount, p_idempotency_key, p_metadata, p_occurred_at
        )
    );
    v_version integer;
    v_plan_key text;
    v ducto.drawn;
begin
    if v_result is null and not p_drawn then
        select a.headroom_plan, a.headroom_version into v_plan_key, v_version
        from ducto.credit_accounts a
        where a.account_id = p_account_id and a.headroom > 0.0
            and a.headroom_until > '-infinity';
        if found then
            v := ducto.draw_headroom(
                p_account_id, p_actor_id, p_metrics, p_amount, p_idempotency_key, v_version,
                v_plan_key, p_linear
            );
        end if;
        if v.cost is null then
            v := ducto.charge_closed(
                p_account_id, p_actor_id, p_metrics, p_amount, p_idempotency_key, p_metadata,
                p_occurred_at, case when p_linear.cost is null then p_linear end
            );
            v_result := v.result;
        end if;
        if v_result is null then
            insert into ducto.credit_transactions as t (
                account_id, actor_id, type, amount, balance_after, available_after,
                allowance_consumed, lot_id, metrics, model, operation, breakdown,
                pricing_version, plan_key, warnings, idempotency_key, metadata, occurred_at,
                created_at
            ) values (
                p_account_id, p_actor_id, 'usage', v.free - v.cost, v.balance_after,
                nullif(v.available_after, v.balance_after), v.free,
                case when v.cost > 0.0 then v.lot_id end, p_metrics, p_metrics ->> 'model',
                p_metrics ->> 'operation',
                case when v.parts -> 'model' <> v.parts -> 'total'
                        or not v.parts @> '{"tools": 0, "search": 0, "cache": 0, "fixed": 0}'
                    then nullif(v.parts, ducto.plain_breakdown(p_metrics, v.cost))
                end, v.version, v.plan_key,
                nullif(v.warnings, '[]'), p_idempotency_key, nullif(p_metadata, '{}'),
                p_occurred_at, v.created_at
            )
            on conflict (account_id, idempotency_key) do nothing
            returning to_jsonb(row(
                'ok', t.id, p_actor_id, case when v.kind = 'team' then p_account_id end, t.model,
                v.cost, v.free, trim_scale(v.cost - v.free), trim_scale(v.balance_after),
                trim_scale(v.available_after), v.version, v.parts, coalesce(v.warnings, '[]'),
                false
            )::ducto.receipt)
            into v_result;
        end if;
    end if;
    if v_result is null then
        v_result := ducto.replay_drawn(
            p_account_id, p_actor_id, p_metrics, p_amount, p_occurred_at, p_idempotency_key,
            coalesce(v.cost, p_linear.cost)
        );
    end if;
    if p_raise is null or v_result ->> 'status' = 'ok' then
        return v_result;
    end if;
    return ducto.finish(v_result, p_account_id, p_actor_id, p_raise);
end
$$;
comment on function ducto.charge(
    text, text, jsonb, numeric, text, jsonb, timestamptz, boolean, ducto.linear, boolean
) is
    'Charges p_metrics, or p_amount where they are null, of p_actor_id to p_account_id. p_raise: '
    'true raises what may not happen, false records and returns a denial, null returns anything. '
    'p_linear: the price, where it is already known; its version 0: it is no sum of products. '
    'p_drawn: it was already taken out of the headroom, before the key turned out to be used.';

-- The pipeline behind every charge that is not within the headroom, and behind settlements: draw,
-- decide, write, open the headroom anew. It returns denials and errors instead of raising them, so
-- that one item of a batch cannot spoil the rest.
create or replace function ducto.charge_in_full(
    p_account ducto.account,
    p_terms ducto.terms,
    p_price jsonb,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_occurred_at timestamptz,
    p_hold ducto.reservation,
    p_now timestamptz
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := p_account;
    v_version constant integer := case when p_hold.pricing_version is null
        then nullif(p_terms.version, 0) else p_hold.pricing_version end;
    v_plan_key constant text := case when p_hold.pricing_version is null
        then p_terms.plan_key else p_hold.plan_key end;
    v ducto.draft;
    v_models text[];
    v_entry_id bigint;
    v_result jsonb;
begin
    if p_price ? 'code' then
        -- A used key replays its first result, even if the usage has no price any more.
        return coalesce(
            ducto.find_replay(v_account, p_actor_id, p_metrics, p_amount, p_hold.reservation_id,
                p_occurred_at, p_idempotency_key),
            ducto.failure('error', p_price ->> 'code', p_price -> 'detail')
        );
    end if;
    if v_account.has_caps then
        v_models := case when p_price ? 'rate' then array['', p_price ->> 'rate']
            else ducto.cap_models(v_version, v_plan_key, p_metrics ->> 'model') end;
    end if;
    if p_hold.reservation_id is null then
        v := ducto.draw(v_account, (p_price -> 'cost')::numeric, p_now);
        v.warnings := nullif(p_price -> 'warnings', '[]');
        -- Only where one of its rules can apply: a call costs more than looking.
        if v_account.has_caps or v_account.kind = 'team' or v_account.status <> 'active'
            or p_terms.plan_missing or p_terms.missing_feature is not null
            or v_account.balance + v_account.allowance - v_account.held - v.cost < p_terms.floor
        then
            v := ducto.decide(v, v_account, p_actor_id, p_terms, v_models, v.amount, p_now);
        end if;
    else
        v := ducto.draw_for_hold(v_account, (p_price -> 'cost')::numeric, p_hold, p_now);
        v.warnings := nullif(p_price -> 'warnings', '[]');
    end if;
    if v.failure is null and p_idempotency_key is not null and v_account.keyed_holds then
        v.failure := ducto.check_hold_key(
            v_account.account_id, p_idempotency_key, p_hold.reservation_id
        );
    end if;
    if v.failure is null and greatest(
        abs(v_account.balance - v.amount), v_account.spent + v.amount, v_account.debt + v.debt,
        abs(v_account.balance + v_account.allowance - v_account.held - v.cost)
    ) >= 1e26 then
        v.failure := ducto.sum_too_large(v_account.account_id);
    end if;
    if v.failure is null then
        -- The row first: it claims the key, and where the key is used nothing else is written.
        if p_hold.reservation_id is not null then
            v_account.held := v_account.held - ducto.freed(p_hold, v.cost);
        end if;
        insert into ducto.credit_transactions as t (
            account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, lot_id, allocations, metrics, model, operation, breakdown,
            pricing_version, plan_key, warnings, idempotency_key, reservation_id, metadata,
            occurred_at, created_at
        ) values (
            v_account.account_id, p_actor_id, 'usage', -v.amount, v_account.balance - v.amount,
            nullif(
                v_account.balance + v_account.allowance - v_account.held - v.cost,
                v_account.balance - v.amount
            ), v.free,
            case when cardinality(v.lots) = 1 and v.debt = 0 then v.lots[1] end,
            case when cardinality(v.lots) > 1 or v.debt > 0
                then ducto.allocations(v.lots, v.takes, v.debt) end,
            p_metrics, p_metrics ->> 'model',
            coalesce(p_hold.operation, p_metrics ->> 'operation'),
            case when p_price #> '{breakdown,model}' <> p_price -> 'cost' or not p_price @>
                    '{"breakdown": {"tools": 0, "search": 0, "cache": 0, "fixed": 0}}'
                then nullif(p_price -> 'breakdown', ducto.plain_breakdown(p_metrics, v.cost))
            end,
            v_version, v_plan_key, v.warnings, p_idempotency_key, p_hold.reservation_id,
            nullif(p_metadata, '{}'), p_occurred_at, p_now
        )
        on conflict (account_id, idempotency_key) do nothing
        returning t.id, to_jsonb(row(
            'ok', t.id, p_actor_id,
            case when v_account.kind = 'team' then v_account.account_id end, t.model,
            trim_scale(v.cost), trim_scale(v.free), trim_scale(v.amount),
            trim_scale(t.balance_after), trim_scale(coalesce(t.available_after, t.balance_after)),
            v_version, p_price -> 'breakdown', coalesce(v.warnings, '[]'), false
        )::ducto.receipt)
        into v_entry_id, v_result;
    end if;
    if v_entry_id is null then
        return coalesce(
            ducto.find_replay(v_account, p_actor_id, p_metrics, p_amount, p_hold.reservation_id,
                p_occurred_at, p_idempotency_key),
            v.failure
        );
    end if;
    perform ducto.book_charge(
        v_account, p_actor_id, v_entry_id, v, p_terms, v_models, p_hold, p_now
    );
    return v_result;
end
$$;
comment on function ducto.charge_in_full(
    ducto.account, ducto.terms, jsonb, text, jsonb, numeric, text, jsonb, timestamptz,
    ducto.reservation, timestamptz
) is
    'Of a locked account, brought up to date, and checked arguments; p_price: of '
    'ducto.draft_price. With p_hold, settles it, without denial. p_hold.status: active for a part, '
    'settled for the whole.';

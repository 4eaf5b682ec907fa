-- Takes a hold on an account, by the rules that a charge of the same cost would meet; a hold must
-- also be one of not too many. p_hold brings what the caller asked for; p_hold.floor may raise the
-- floor, not lower it.
create or replace function ducto.hold(
    p_hold ducto.reservation,
    p_amount numeric,
    p_required_feature text,
    p_ttl_seconds integer
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hold ducto.reservation := p_hold;
    v_account ducto.account := ducto.lock_account(p_hold.account_id);
    v_now timestamptz := ducto.now();
    v_terms ducto.terms := ducto.read_terms(v_account, p_hold.operation, v_now);
    v_price jsonb;
    v ducto.draft;
    v_models text[];
begin
    if v_now >= v_account.stale_at or v_terms.allowance_due then
        v_account := ducto.bring_up_to_date(v_account, v_terms, v_now);
    end if;
    if p_hold.idempotency_key is not null then
        v.failure := ducto.find_hold_replay(v_account, v_hold);
        if v.failure is not null then
            return v.failure;
        end if;
        v_account.keyed_holds := true;
    end if;
    v_account := ducto.lapse_holds(v_account, v_now, true);
    v_price := ducto.draft_price(
        case when p_amount is null then p_hold.metrics end, p_amount,
        nullif(v_terms.version, 0), v_terms.plan_key
    );
    if v_price ? 'code' then
        return ducto.failure('error', v_price ->> 'code', v_price -> 'detail');
    end if;
    v.cost := (v_price -> 'cost')::numeric;
    -- What no unclaimed allowance pays would leave the balance: it takes room in the caps.
    v_hold.capped := v.cost
        - least(v.cost, greatest(v_account.allowance - v_account.held, 0));
    v_hold.model := p_hold.metrics ->> 'model';
    v_terms.floor := greatest(v_terms.floor, p_hold.floor);
    if not ducto.has_feature(v_terms.features, p_required_feature) then
        v_terms.missing_feature := coalesce(v_terms.missing_feature, p_required_feature);
    end if;
    if v_account.has_caps then
        v_models := ducto.cap_models(v_terms.version, v_terms.plan_key, v_hold.model);
    end if;
    v := ducto.decide(
        v, v_account, v_hold.actor_id, v_terms, v_models, v_hold.capped, v_now
    );
    if v.failure is null
        and coalesce(v_terms.max_concurrent, v_terms.max_concurrent_operation) is not null
    then
        v.failure := ducto.check_concurrency(
            v_account.account_id, v_hold.operation, v_terms, v_now
        );
    end if;
    if v.failure is not null then
        return v.failure;
    end if;
    insert into ducto.credit_reservations as r (
        account_id, actor_id, amount, held, capped, counted, operation, model, expires_at,
        pricing_version, plan_key, floor, metrics, idempotency_key, fingerprint, metadata,
        created_at
    ) values (
        v_account.account_id, v_hold.actor_id, v.cost, v.cost, v_hold.capped, v.cost > 0,
        v_hold.operation, v_hold.model, v_now + make_interval(secs => p_ttl_seconds),
        nullif(v_terms.version, 0), v_terms.plan_key, v_terms.floor, v_hold.metrics,
        v_hold.idempotency_key, v_hold.fingerprint, v_hold.metadata, v_now
    )
    returning r.* into v_hold;
    perform ducto.book_hold(v_account, v_hold, v_terms, v_models, v.events, v_now);
    v_account.held := v_account.held + v.cost;
    return ducto.hold_result(v_hold, v_account, false);
end
$$;
comment on function ducto.hold(ducto.reservation, numeric, text, integer) is
    'The result of ducto_reserve. p_hold: account, actor, operation, metrics, floor, key, '
    'metadata.';

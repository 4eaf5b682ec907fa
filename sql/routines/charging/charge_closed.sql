-- A charge of checked arguments that its account's headroom does not cover: mostly opening it is
-- all that is missing, and the charge is taken out of it at once (ducto.open_headroom); otherwise
-- something must be decided (ducto.charge_in_full).
create or replace function ducto.charge_closed(
    p_account_id text,
    p_actor_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_occurred_at timestamptz,
    p_linear ducto.linear default null
)
returns ducto.drawn
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.lock_account(p_account_id);
    -- A price that is known was looked up with the clock's setting (ducto_deduct).
    v_now constant timestamptz := case when p_linear.cost is null then ducto.now()
        else clock_timestamp() end;
    v_terms constant ducto.terms := ducto.read_terms(
        v_account, p_metrics ->> 'operation', v_now
    );
    v_price jsonb;
    v_models text[];
    v ducto.drawn;
begin
    if v_now >= v_account.stale_at or v_terms.allowance_due then
        v_account := ducto.bring_up_to_date(v_account, v_terms, v_now);
    end if;
    if p_linear.cost is null then
        v_price := ducto.draft_price(
            p_metrics, p_amount, v_terms.version, v_terms.plan_key, p_linear
        );
    end if;
    if coalesce(v_price ? 'cost', p_linear.version = v_terms.version)
        and v_terms.missing_feature is null
        and not (v_account.keyed_holds and p_idempotency_key is not null)
        and (v_account.kind = 'user'
            or ducto.may_spend(v_account.kind, p_account_id, p_actor_id))
    then
        if v_account.has_caps then
            v_models := case when coalesce(v_price ? 'rate', true)
                then array['', p_metrics ->> 'model'] else ducto.cap_models(
                    v_terms.version, v_terms.plan_key, p_metrics ->> 'model'
                ) end;
        end if;
        v := ducto.open_headroom(
            v_account, v_terms, v_models, v_now,
            coalesce(p_linear.cost, (v_price -> 'cost')::numeric)
        );
    end if;
    if v.cost is null then
        v.result := ducto.charge_in_full(
            v_account, v_terms, coalesce(v_price, ducto.draft_price(
                p_metrics, p_amount, v_terms.version, v_terms.plan_key, p_linear
            )),
            p_actor_id, p_metrics, p_amount, p_idempotency_key, p_metadata, p_occurred_at, null,
            v_now
        );
    elsif v_price is not null then
        v.parts := v_price -> 'breakdown';
        v.warnings := v_price -> 'warnings';
    end if;
    return v;
end
$$;
comment on function ducto.charge_closed(
    text, text, jsonb, numeric, text, jsonb, timestamptz, ducto.linear
) is
    'What was drawn, and the ledger row is still to be written; or the result of a charge in full, '
    'which has written it or may not happen. p_linear: the price under every plan, where it is '
    'already known, and the version 0 where it is known to be no sum of products.';

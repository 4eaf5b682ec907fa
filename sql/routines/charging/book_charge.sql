-- What a charge in full leaves behind beside its ledger row: lots, caps, the hold it settles,
-- events, and the account's row with its headroom open again.
create or replace function ducto.book_charge(
    p_account ducto.account,
    p_actor_id text,
    p_transaction_id bigint,
    p_draft ducto.draft,
    p_terms ducto.terms,
    p_models text[],
    p_hold ducto.reservation,
    p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
    v_models text[] := p_models;
begin
    if cardinality(p_draft.lots) = 1 then
        update ducto.credit_lots l set
            remaining = l.remaining - p_draft.takes[1], live = l.remaining > p_draft.takes[1]
        where l.account_id = v.account_id and l.lot_id = p_draft.lots[1];
    elsif p_draft.lots is not null then
        perform ducto.take_lots(v.account_id, p_draft.lots, p_draft.takes);
    end if;
    v.balance := v.balance - p_draft.amount;
    v.allowance := v.allowance - p_draft.free;
    v.spent := v.spent + p_draft.amount;
    v.debt := v.debt + p_draft.debt;
    if p_draft.debt > 0 then
        perform ducto.write_event(
            v.account_id, p_actor_id, 'credits.overdraft', p_now, jsonb_build_object(
                'transaction_id', p_transaction_id,
                'debt_added', trim_scale(p_draft.debt),
                'balance_after', trim_scale(v.balance)
            )
        );
    end if;
    if v.has_caps and p_draft.amount > 0 then
        perform ducto.count_caps(v.account_id, p_models, p_draft.amount, p_now);
    end if;
    if v.kind = 'team' and p_draft.amount > 0 then
        perform ducto.count_member(v.account_id, p_actor_id, p_draft.amount, p_now);
    end if;
    if p_draft.events is not null then
        perform ducto.write_event(
            v.account_id, p_actor_id, e ->> 'type', p_now, e -> 'data'
        ) from jsonb_array_elements(p_draft.events) e;
    end if;
    if p_terms.thresholds <> '{}' then
        v.alerted_below := ducto.check_thresholds(v, p_terms.thresholds, p_now, true);
    end if;
    if p_hold.reservation_id is not null then
        perform ducto.settle_hold(v, p_hold, p_transaction_id, p_draft.cost, p_now);
    end if;
    if v.has_caps and p_hold.pricing_version is not null then
        -- The hold has pinned its price, the next charge of the model may have another rate.
        v_models := ducto.cap_models(p_terms.version, p_terms.plan_key, p_models[2]);
    end if;
    perform ducto.open_headroom(v, p_terms, v_models, p_now);
end
$$;

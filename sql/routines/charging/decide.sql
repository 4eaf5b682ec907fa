-- Whether a charge or a hold may happen: frozen, feature, caps, floor, in this order; of a team,
-- also its member.
create or replace function ducto.decide(
    p_draft ducto.draft,
    p_account ducto.account,
    p_actor_id text,
    p_terms ducto.terms,
    p_models text[],
    p_capped numeric,
    p_now timestamptz
)
returns ducto.draft
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.draft := p_draft;
    v_available numeric := p_account.balance + p_account.allowance - p_account.held;
begin
    if p_terms.plan_missing then
        v.warnings := coalesce(v.warnings, '[]') || jsonb_build_object(
            'code', 'plan_missing', 'plan_key', p_account.plan_key
        );
    end if;
    if p_account.status = 'frozen' then
        v.failure := ducto.failure(
            'denied', 'DU019', jsonb_build_object('user_id', p_account.account_id)
        );
    elsif p_terms.missing_feature is not null then
        v.failure := ducto.failure('denied', 'DU013', jsonb_build_object(
            'user_id', p_account.account_id,
            'feature', p_terms.missing_feature,
            'plan_key', p_terms.plan_key
        ));
    elsif p_account.has_caps and p_capped > 0 then
        v := ducto.check_caps(v, p_account, p_models, p_capped, p_now);
    end if;
    -- A charge that the unheld part of the allowance pays needs no balance.
    if v.failure is null
        and v_available - v.cost < p_terms.floor
        and v.cost > greatest(p_account.allowance - p_account.held, 0)
    then
        v.failure := ducto.failure('denied', 'DU002', jsonb_build_object(
            'user_id', p_account.account_id,
            'required', trim_scale(v.cost),
            'available', trim_scale(v_available),
            'balance', trim_scale(p_account.balance),
            'allowance_remaining', trim_scale(p_account.allowance),
            'held', trim_scale(p_account.held),
            'floor', trim_scale(p_terms.floor)
        ));
    end if;
    if p_account.kind = 'team' then
        return ducto.decide_member(v, p_account, p_actor_id, p_capped, p_now);
    end if;
    return v;
end
$$;
comment on function ducto.decide(
    ducto.draft, ducto.account, text, ducto.terms, text[], numeric, timestamptz
) is
    'The draft with its failure, warnings and events. p_models: of the caps that cover it; '
    'p_capped: what counts against them.';

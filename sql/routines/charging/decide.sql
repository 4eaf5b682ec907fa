-- Whether an assessed charge may happen: frozen, feature, caps, floor, in this order. Called only
-- when one of them can apply.
create or replace function ducto.decide(
    p_assessment ducto.assessment,
    p_account ducto.credit_accounts,
    p_hold ducto.credit_reservations,
    p_now timestamptz
)
returns ducto.assessment
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.assessment := p_assessment;
    v_terms ducto.terms := p_assessment.terms;
    v_available numeric := v.balance + v.allowance - v.held;
begin
    if v_terms.plan_missing then
        v.warnings := coalesce(v.warnings, '[]') || jsonb_build_object(
            'code', 'plan_missing', 'plan_key', p_account.plan_key
        );
    end if;
    if p_account.status = 'frozen' then
        v.failure := ducto.failure(
            'denied', 'DU019', jsonb_build_object('user_id', p_account.account_id)
        );
    elsif v_terms.missing_feature is not null then
        v.failure := ducto.failure('denied', 'DU013', jsonb_build_object(
            'user_id', p_account.account_id,
            'feature', v_terms.missing_feature,
            'plan_key', v.plan_key
        ));
    elsif p_account.has_caps and v.amount > 0 then
        v := ducto.check_caps(v, p_account.account_id, p_now);
    end if;
    -- A charge that the unheld part of the allowance pays needs no balance.
    if v.failure is null
        and v_available - v.cost < v.floor
        and v.cost > greatest(v.allowance - v.held, 0)
    then
        v.failure := ducto.failure('denied', 'DU002', jsonb_build_object(
            'user_id', p_account.account_id,
            'required', trim_scale(v.cost),
            'available', trim_scale(v_available),
            'balance', trim_scale(v.balance),
            'allowance_remaining', trim_scale(v.allowance),
            'held', trim_scale(v.held),
            'floor', trim_scale(v.floor)
        ));
    end if;
    if p_hold.reservation_id is not null then
        v.failure := p_assessment.failure;
    end if;
    return v;
end
$$;
comment on function ducto.decide(
    ducto.assessment, ducto.credit_accounts, ducto.credit_reservations, timestamptz
) is
    'The assessment with its failure, warnings and events. Settling p_hold is never denied.';

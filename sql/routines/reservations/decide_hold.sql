-- Whether an assessed hold may be taken: the rules of a charge, and how many may be open at once.
create or replace function ducto.decide_hold(
    p_assessment ducto.assessment,
    p_account ducto.credit_accounts,
    p_hold ducto.credit_reservations,
    p_required_feature text,
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
    v_active bigint;
    v_active_operation bigint;
begin
    v.floor := coalesce(p_hold.floor, v.floor);
    if p_required_feature is not null
        and not ducto.has_feature(
            ducto.plan_features(v.version, v.plan_key), p_required_feature
        )
    then
        v_terms.missing_feature := p_required_feature;
    end if;
    v.terms := v_terms;
    v := ducto.decide(v, p_account, null, p_now);
    select count(*), count(*) filter (where r.operation = p_hold.operation)
    into v_active, v_active_operation
    from ducto.credit_reservations r
    where r.account_id = p_account.account_id and r.status = 'active' and r.expires_at > p_now;
    if v.failure is null and (
        v_active >= v_terms.max_concurrent
        or v_active_operation >= v_terms.max_concurrent_operation
    ) then
        v.failure := ducto.failure('denied', 'DU012', jsonb_build_object(
            'user_id', p_account.account_id,
            'active', case when v_active >= v_terms.max_concurrent then v_active
                else v_active_operation end,
            'max_concurrent', case when v_active >= v_terms.max_concurrent
                then v_terms.max_concurrent else v_terms.max_concurrent_operation end,
            'operation', p_hold.operation
        ));
    end if;
    return v;
end
$$;

-- A team as callers see it, as it would be after a touch now.
create or replace function ducto.team_object(p_team_id text, p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.find_account(p_team_id);
    v_terms ducto.terms := ducto.read_terms(v_account, null, p_now);
begin
    v_account := ducto.foresee(v_account, v_terms, p_now);
    return (
        select jsonb_build_object(
            'team_id', p_team_id,
            'name', t.name,
            'balance', trim_scale(v_account.balance),
            'allowance_remaining', trim_scale(v_account.allowance),
            'held', trim_scale(v_account.held),
            'available', trim_scale(v_account.balance + v_account.allowance - v_account.held),
            'debt', trim_scale(v_account.debt),
            'member_count', (
                select count(*) from ducto.credit_team_members m where m.account_id = p_team_id
            ),
            'plan_key', coalesce(v_terms.plan_key, v_account.plan_key),
            'status', v_account.status,
            'lifetime_granted', trim_scale(v_account.granted),
            'lifetime_spent', trim_scale(v_account.spent),
            'metadata', coalesce(t.metadata, '{}'),
            'created_at', t.created_at
        )
        from ducto.credit_teams t
        where t.account_id = p_team_id
    );
end
$$;
comment on function ducto.team_object(text, timestamptz) is
    'Null where there is no such team.';

-- What a member with a cap has used is what the entries and the holds say; members are of teams,
-- and every team is an account of its own.
create or replace function ducto.check_teams()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
begin
    return query
    select 'member', m.account_id, jsonb_build_object(
        'member', m.user_id, 'cap_type', m.cap_type, 'spent', m.spent, 'entries', s.spent,
        'held', m.held, 'holds', s.held
    )
    from ducto.credit_team_members m
    cross join lateral (
        select ducto.spent_since(m.account_id, '', m.window_start, m.user_id) as spent,
            ducto.capped_holds(m.account_id, '', null, m.user_id) as held
    ) s
    where m.spend_cap is not null
        and (m.window_end > v_now and m.spent <> s.spent or m.held <> s.held)
    union all
    select 'team', coalesce(a.account_id, t.account_id), jsonb_build_object(
        'kind', a.kind, 'is_team', t.account_id is not null
    )
    from ducto.credit_accounts a
    full join ducto.credit_teams t on t.account_id = a.account_id
    where (a.kind = 'team') is distinct from (t.account_id is not null)
    union all
    select 'team', m.account_id, jsonb_build_object('member', m.user_id, 'is_team', false)
    from ducto.credit_team_members m
    where not exists (select from ducto.credit_teams t where t.account_id = m.account_id);
end
$$;

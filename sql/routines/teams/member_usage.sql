-- What each user has taken of a team in whole UTC days: from the rollup's days of this account and
-- what is not in it yet, so that what is read grows with the days, not with the team's history.
create or replace function ducto.member_usage(
    p_team_id text,
    p_start timestamptz,
    p_end timestamptz
)
returns table (user_id text, spent numeric, allowance_consumed numeric, charges bigint)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_start constant timestamptz := date_trunc('day', p_start, 'UTC');
    v_rolled_id bigint;
begin
    select w.rolled_id into v_rolled_id
    from ducto.credit_usage_watermarks w
    where w.account_id = p_team_id;
    return query
    select u.actor_id, sum(u.spent), sum(u.allowance_consumed), sum(u.charges)::bigint
    from (
        select r.actor_id, r.spent, r.allowance_consumed, r.charges
        from ducto.credit_usage_rollup r
        where r.team_id = p_team_id and r.scope = 'member' and r.hours = 24
            and r.start_at >= v_start and r.start_at < p_end
        union all
        select e.actor_id, e.spent, e.allowance_consumed, e.charges
        from ducto.credit_usage_entries e
        where e.account_id = p_team_id and e.id > coalesce(v_rolled_id, 0)
            and e.happened_at >= v_start and date_trunc('day', e.happened_at, 'UTC') < p_end
    ) u
    group by u.actor_id;
end
$$;

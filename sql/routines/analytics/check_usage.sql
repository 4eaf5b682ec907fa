-- The rollup against the ledger: each of its spans sums what the watermarks say is in it.
create or replace function ducto.check_usage()
returns table (check_name text, user_id text, detail jsonb)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
as $$
    with sums as (
        select e.team_id, e.actor_id, sum(e.charges) as charges, sum(e.spent) as spent,
            sum(e.allowance_consumed) as allowance_consumed
        from ducto.credit_usage_entries e
        join ducto.credit_usage_watermarks w on w.account_id = e.account_id and e.id <= w.rolled_id
        group by e.team_id, e.actor_id
    ), expected as (
        select l.scope, l.hours, k.team_id, k.actor_id, sum(s.charges) as charges,
            sum(s.spent) as spent, sum(s.allowance_consumed) as allowance_consumed
        from sums s
        cross join lateral (
            values ('detail', s.team_id, s.actor_id), ('user', '', s.actor_id),
                ('member', s.team_id, s.actor_id), ('team', s.team_id, ''), ('model', '', '')
        ) k (scope, team_id, actor_id)
        join ducto.usage_ladder() l on l.scope = k.scope
        where k.scope <> 'member' or k.team_id <> ''
        group by 1, 2, 3, 4
    ), found as (
        select r.scope, r.hours, r.team_id, r.actor_id, sum(r.charges) as charges,
            sum(r.spent) as spent, sum(r.allowance_consumed) as allowance_consumed
        from ducto.credit_usage_rollup r
        group by r.scope, r.hours, r.team_id, r.actor_id
    )
    select 'usage_rollup', coalesce(nullif(actor_id, ''), nullif(team_id, '')),
        jsonb_build_object(
            'scope', scope, 'hours', hours,
            'rolled_up', jsonb_build_array(f.charges, f.spent, f.allowance_consumed),
            'ledger', jsonb_build_array(e.charges, e.spent, e.allowance_consumed)
        )
    from expected e
    full join found f using (scope, hours, team_id, actor_id)
    where (e.charges, e.spent, e.allowance_consumed)
        is distinct from (f.charges, f.spent, f.allowance_consumed);
$$;

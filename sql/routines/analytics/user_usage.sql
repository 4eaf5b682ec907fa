-- The last charges of one user in a window, newest first, by id: from the accounts, own and teams',
-- that the rollup or what is not in it yet has seen the user charge.
create or replace function ducto.user_usage(
    p_user_id text,
    p_start timestamptz,
    p_end timestamptz,
    p_limit integer,
    p_before ducto.usage_entry
)
returns setof bigint
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
as $$
    with payers as (
        select p_user_id as account_id
        union
        select r.team_id from ducto.credit_usage_rollup r
        where r.actor_id = p_user_id and r.scope = 'member' and r.hours = 768
        union
        select e.account_id
        from ducto.usage_tail() e
        where e.actor_id = p_user_id
    )
    select e.id
    from payers p
    join ducto.credit_usage_entries e on e.account_id = p.account_id
    where e.actor_id = p_user_id and e.charges > 0
        and e.happened_at >= p_start and e.happened_at < p_end
        and (e.happened_at, e.id) < (p_before.happened_at, p_before.id) is not false
    order by e.happened_at desc, e.id desc
    limit p_limit;
$$;

create or replace function public.ducto_list_teams(
    p_limit integer default 50,
    p_after text default null,
    p_user_id text default null
)
returns table (
    team_id text,
    name text,
    balance numeric,
    allowance_remaining numeric,
    held numeric,
    available numeric,
    member_count bigint,
    role text,
    plan_key text,
    status text,
    created_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
begin
    if coalesce(p_limit, 0) not between 1 and 1000 then
        perform ducto.raise_error('DU017', ducto.invalid('p_limit', 'The limit is 1 to 1000.'));
    end if;
    if length(p_user_id) not between 1 and 200 then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_user_id', 'The user id must have 1 to 200 characters.'
        ));
    end if;
    return query
    select
        t.account_id, t.name, (o.team -> 'balance')::numeric,
        (o.team -> 'allowance_remaining')::numeric, (o.team -> 'held')::numeric,
        (o.team -> 'available')::numeric, (o.team -> 'member_count')::bigint, t.role,
        o.team ->> 'plan_key', o.team ->> 'status', t.created_at
    from (
        select c.account_id, c.name, c.created_at, null as role
        from ducto.credit_teams c
        where p_user_id is null and (p_after is null or c.account_id > p_after)
        union all
        select c.account_id, c.name, c.created_at, m.role
        from ducto.credit_team_members m
        join ducto.credit_teams c on c.account_id = m.account_id
        where m.user_id = p_user_id and (p_after is null or m.account_id > p_after)
        order by 1
        limit p_limit
    ) t
    cross join lateral ducto.team_object(t.account_id, v_now) as o (team)
    order by t.account_id;
end
$$;
comment on function public.ducto_list_teams(integer, text, text) is
    'Teams by id, p_limit (1 to 1000) of them, from behind the id p_after. p_user_id: those that '
    'this user is in, with the role there. Errors: DU017. Callers: service, admin, reader.';

create or replace function public.ducto_list_team_members(
    p_team_id text,
    p_start timestamptz default null,
    p_end timestamptz default null,
    p_limit integer default 100,
    p_after text default null
)
returns table (
    user_id text,
    role text,
    spend_cap numeric,
    cap_type text,
    used numeric,
    remaining numeric,
    resets_at timestamptz,
    spent numeric,
    allowance_consumed numeric,
    charges bigint,
    created_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
    v_start timestamptz := coalesce(p_start, date_trunc('month', v_now, 'UTC'));
    v_end timestamptz := coalesce(p_end, v_now + interval '1 microsecond');
    v_account ducto.account := ducto.find_account(p_team_id);
    v_failure jsonb := ducto.check_window(v_start, v_end);
begin
    if coalesce(p_limit, 0) not between 1 and 1000 then
        v_failure := ducto.invalid('p_limit', 'The limit is 1 to 1000.');
    end if;
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    elsif v_account.kind <> 'team' then
        perform ducto.raise_error('DU015', jsonb_build_object('team_id', p_team_id));
    end if;
    return query
    select
        m.user_id, m.role, (o.member ->> 'spend_cap')::numeric, m.cap_type,
        (o.member ->> 'used')::numeric, (o.member ->> 'remaining')::numeric,
        (o.member ->> 'resets_at')::timestamptz,
        trim_scale(coalesce(u.spent, 0)), trim_scale(coalesce(u.allowance_consumed, 0)),
        coalesce(u.charges, 0), m.created_at
    from (
        select c.* from ducto.credit_team_members c
        where c.account_id = p_team_id and (p_after is null or c.user_id > p_after)
        order by c.user_id
        limit p_limit
    ) m
    cross join lateral ducto.member_object(
        ducto.find_member(v_account, m.user_id, v_now), v_now
    ) as o (member)
    left join ducto.member_usage(p_team_id, v_start, v_end) u on u.user_id = m.user_id
    order by m.user_id;
end
$$;
comment on function public.ducto_list_team_members(
    text, timestamptz, timestamptz, integer, text
) is
    'The members of a team by user id, p_limit (1 to 1000) of them, from behind the id p_after: '
    'role, cap with what its window has used (null: no cap), and what each spent of the team in '
    'the whole UTC days from p_start (null: this month) to before p_end (null: now), less '
    'refunds. Errors: DU015, DU017. Callers: service, admin, reader.';

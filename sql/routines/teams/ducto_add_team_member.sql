create or replace function public.ducto_add_team_member(
    p_team_id text,
    p_user_id text,
    p_role text default 'member',
    p_spend_cap numeric default null,
    p_cap_type text default 'monthly'
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_member ducto.member;
    v_now timestamptz;
    v_failure jsonb := coalesce(
        case when p_role is null
            then ducto.invalid('p_role', 'The role of a member is owner, admin or member.') end,
        ducto.check_member(p_user_id, p_role, p_spend_cap, p_cap_type),
        case when ducto.is_team(p_user_id)
            then ducto.invalid('p_user_id', format('%s is a team, not a user.', p_user_id)) end
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_account := ducto.lock_team(p_team_id);
    v_now := ducto.now();
    v_account := ducto.bring_up_to_date(
        v_account, ducto.read_terms(v_account, null, v_now), v_now
    );
    v_member := ducto.find_member(v_account, p_user_id, v_now);
    if v_member.user_id is not null then
        if v_member.role = p_role and v_member.spend_cap is not distinct from p_spend_cap
            and coalesce(v_member.cap_type = p_cap_type, true)
        then
            return ducto.member_object(v_member, v_now);
        end if;
        perform ducto.raise_error('DU017', ducto.invalid('p_user_id', format(
            '%s is in the team %s already: change role and cap with ducto_update_team_member.',
            p_user_id, p_team_id
        )));
    end if;
    v_member := ducto.cap_member(row(
        p_team_id, p_user_id, p_role, p_spend_cap, coalesce(p_cap_type, 'monthly'), null, null,
        0, 0, v_now
    )::ducto.member, v_now);
    insert into ducto.credit_team_members (
        account_id, user_id, role, spend_cap, cap_type, window_start, window_end, spent, held,
        created_at
    ) values (
        v_member.account_id, v_member.user_id, v_member.role, v_member.spend_cap,
        v_member.cap_type, v_member.window_start, v_member.window_end, v_member.spent,
        v_member.held, v_member.created_at
    );
    perform ducto.save_account(v_account);
    return ducto.member_object(v_member, v_now);
end
$$;
comment on function public.ducto_add_team_member(text, text, text, numeric, text) is
    'Makes a user a member of a team. p_role: owner, admin or member, which is for the application '
    'to act on; a team that has an owner keeps one. p_spend_cap: what the user''s usage may take '
    'of the team''s balance in a UTC window (p_cap_type: daily, weekly or monthly); null: no cap. '
    'Errors: DU015, DU017. Callers: service, admin. Idempotent.';

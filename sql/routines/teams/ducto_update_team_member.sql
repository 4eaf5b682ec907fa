create or replace function public.ducto_update_team_member(
    p_team_id text,
    p_user_id text,
    p_role text default null,
    p_spend_cap numeric default null,
    p_cap_type text default null,
    p_remove_cap boolean default false
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
        ducto.check_member(p_user_id, p_role, p_spend_cap, p_cap_type),
        case when p_remove_cap and coalesce(p_spend_cap::text, p_cap_type) is not null then
            ducto.invalid('p_remove_cap', 'Set a cap or remove it, not both.')
        end,
        case when num_nonnulls(p_role, p_spend_cap, p_cap_type) = 0 and p_remove_cap is not true
            then ducto.invalid('p_role', 'Nothing to change: give a role, a cap, or p_remove_cap.')
        end
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
    v_member := ducto.find_team_member(p_team_id, p_user_id);
    if p_role <> 'owner' then
        perform ducto.check_last_owner(v_member);
    end if;
    v_member.role := coalesce(p_role, v_member.role);
    if p_remove_cap or num_nonnulls(p_spend_cap, p_cap_type) > 0 then
        v_member.spend_cap := case when p_remove_cap is not true
            then coalesce(p_spend_cap, v_member.spend_cap) end;
        v_member.cap_type := coalesce(p_cap_type, v_member.cap_type, 'monthly');
        if v_member.spend_cap is null and p_cap_type is not null then
            perform ducto.raise_error('DU017', ducto.invalid('p_cap_type', format(
                '%s has no cap in the team %s: give p_spend_cap too.', p_user_id, p_team_id
            )));
        end if;
        v_member := ducto.cap_member(v_member, v_now);
    end if;
    update ducto.credit_team_members m set
        role = v_member.role,
        spend_cap = v_member.spend_cap,
        cap_type = v_member.cap_type,
        window_start = v_member.window_start,
        window_end = v_member.window_end,
        spent = v_member.spent,
        held = v_member.held
    where m.account_id = p_team_id and m.user_id = p_user_id;
    perform ducto.save_account(v_account);
    return ducto.member_object(v_member, v_now);
end
$$;
comment on function public.ducto_update_team_member(
    text, text, text, numeric, text, boolean
) is
    'Changes the role or the cap of a member; what is null stays as it is. p_spend_cap counts what '
    'the window (p_cap_type: daily, weekly, monthly) has already seen, and may not lie below it; '
    'p_remove_cap: without a cap from now on. The last owner stays one. Errors: DU015, DU016, '
    'DU017. Callers: service, admin. Idempotent.';

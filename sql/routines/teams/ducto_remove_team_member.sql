create or replace function public.ducto_remove_team_member(p_team_id text, p_user_id text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_failure jsonb := ducto.check_member(p_user_id, null, null, null);
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_account := ducto.lock_team(p_team_id);
    perform ducto.check_last_owner(ducto.find_team_member(p_team_id, p_user_id));
    delete from ducto.credit_team_members m
    where m.account_id = p_team_id and m.user_id = p_user_id;
    perform ducto.save_account(v_account);
    return jsonb_build_object('team_id', p_team_id, 'user_id', p_user_id, 'removed', true);
end
$$;
comment on function public.ducto_remove_team_member(text, text) is
    'Takes a user out of a team: charges and holds on the team are refused from now on (DU016). '
    'Holds that are open can still be settled or released, charges be refunded. The last owner '
    'stays. Errors: DU015, DU016, DU017. Callers: service, admin.';

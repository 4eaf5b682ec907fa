-- A user's membership of a team; raises DU015 or DU016.
create or replace function ducto.find_team_member(p_team_id text, p_user_id text)
returns ducto.member
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_member ducto.member;
begin
    if not ducto.is_team(p_team_id) then
        perform ducto.raise_error('DU015', jsonb_build_object('team_id', p_team_id));
    end if;
    select m.* into v_member from ducto.credit_team_members m
    where m.account_id = p_team_id and m.user_id = p_user_id;
    if not found then
        perform ducto.raise_error(
            'DU016', jsonb_build_object('team_id', p_team_id, 'user_id', p_user_id)
        );
    end if;
    return v_member;
end
$$;

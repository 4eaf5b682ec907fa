-- A team that pays for a user, as far as that can be seen without a lock: null when there is such a
-- team, else the error. Membership is decided with the account locked (ducto.decide_member).
create or replace function ducto.check_payer(p_team_id text, p_user_id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if (length(p_team_id) between 1 and 200) is not true then
        return ducto.invalid('p_team_id', 'The team id must have 1 to 200 characters.');
    elsif (length(p_user_id) between 1 and 200) is not true then
        return ducto.invalid('p_user_id', 'The user id must have 1 to 200 characters.');
    elsif not ducto.is_team(p_team_id) then
        return ducto.failure('error', 'DU015', jsonb_build_object('team_id', p_team_id));
    elsif p_team_id = p_user_id then
        return ducto.failure('error', 'DU016', jsonb_build_object(
            'team_id', p_team_id, 'user_id', p_user_id
        ));
    end if;
    return null;
end
$$;

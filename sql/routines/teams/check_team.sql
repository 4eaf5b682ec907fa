-- The arguments of a new team: null when they are valid, else the error. Ids of users and of teams
-- do not mix: a team cannot be called like a member of any, nor be owned by a team.
create or replace function ducto.check_team(
    p_name text,
    p_initial_balance numeric,
    p_team_id text,
    p_owner_id text,
    p_idempotency_key text,
    p_metadata jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if (length(p_name) <= 200 and p_name ~ '[^[:space:]]') is not true then
        return ducto.invalid('p_name', 'The name of a team has 1 to 200 characters.');
    elsif length(p_team_id) not between 1 and 200 then
        return ducto.invalid('p_team_id', 'The team id must have 1 to 200 characters.');
    elsif length(p_owner_id) not between 1 and 200 then
        return ducto.invalid('p_owner_id', 'The user id must have 1 to 200 characters.');
    elsif p_owner_id = p_team_id or ducto.is_team(p_owner_id) then
        return ducto.invalid('p_owner_id', format('%s is a team, not a user.', p_owner_id));
    elsif exists (
        select from ducto.credit_team_members m where m.user_id = p_team_id
    ) then
        return ducto.invalid('p_team_id', format('%s is a user, not a new team.', p_team_id));
    end if;
    return coalesce(
        ducto.check_amount('p_initial_balance', p_initial_balance),
        ducto.check_arguments('team', p_idempotency_key, p_metadata, null)
    );
end
$$;

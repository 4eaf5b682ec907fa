-- Locks the account of a team, where there is one: no account comes into being. A call that changes
-- a member writes the account's row after it, so that the headroom is closed and a charge that has
-- waited looks at the members anew.
create or replace function ducto.lock_team(p_team_id text)
returns ducto.account
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if (length(p_team_id) between 1 and 200) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_team_id', 'The team id must have 1 to 200 characters.'
        ));
    elsif not ducto.is_team(p_team_id) then
        perform ducto.raise_error('DU015', jsonb_build_object('team_id', p_team_id));
    end if;
    return ducto.lock_account(p_team_id);
end
$$;
comment on function ducto.lock_team(text) is
    'Raises DU015 or DU017.';

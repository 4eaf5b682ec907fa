-- Takes room in the cap of a member, if there is one, for a hold; or gives it back.
create or replace function ducto.hold_member(p_team_id text, p_user_id text, p_change numeric)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    update ducto.credit_team_members m set held = greatest(m.held + p_change, 0)
    where m.account_id = p_team_id and m.user_id = p_user_id and m.spend_cap is not null;
end
$$;

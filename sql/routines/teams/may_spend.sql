-- Whether a charge may be taken out of a team's headroom: its user is a member, and has no cap.
-- Volatile, so that it looks anew where the update that asks has waited for the team's row: every
-- change of a member writes that row.
create or replace function ducto.may_spend(
    p_kind ducto.account_kind,
    p_team_id text,
    p_user_id text
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_kind = 'team' and exists (
        select from ducto.credit_team_members m
        where m.account_id = p_team_id and m.user_id = p_user_id and m.spend_cap is null
    );
end
$$;

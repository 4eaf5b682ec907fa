-- A team that has an owner keeps one: raises DU017 where this member is the last. Call it with the
-- account locked.
create or replace function ducto.check_last_owner(p_member ducto.member)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_member.role = 'owner' and not exists (
        select from ducto.credit_team_members m
        where m.account_id = p_member.account_id and m.user_id <> p_member.user_id
            and m.role = 'owner'
    ) then
        perform ducto.raise_error('DU017', ducto.invalid('p_user_id', format(
            '%s is the last owner of the team %s: make another member the owner first.',
            p_member.user_id, p_member.account_id
        )));
    end if;
end
$$;

-- A member as it is: holds that have lapsed and are not yet booked take no room. Null: no member.
create or replace function ducto.find_member(
    p_account ducto.account,
    p_user_id text,
    p_now timestamptz
)
returns ducto.member
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_member ducto.member;
begin
    select m.* into v_member from ducto.credit_team_members m
    where m.account_id = p_account.account_id and m.user_id = p_user_id;
    if v_member.held > 0 and p_now >= p_account.stale_at then
        v_member.held := v_member.held
            - ducto.capped_holds(p_account.account_id, '', p_now, p_user_id);
    end if;
    return v_member;
end
$$;

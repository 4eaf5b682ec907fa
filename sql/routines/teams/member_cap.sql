-- The cap of a member as callers see it: used (what the member's open holds take included), limit,
-- what is left and when the window ends.
create or replace function ducto.member_cap(p_member ducto.member, p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_cap ducto.cap;
begin
    v_cap.account_id := p_member.user_id;
    v_cap.cap_type := p_member.cap_type;
    v_cap.model := '';
    v_cap.amount_limit := p_member.spend_cap;
    v_cap.action := 'deny';
    v_cap.window_end := p_member.window_end;
    v_cap.spent := p_member.spent;
    v_cap.held := p_member.held;
    return ducto.cap_state(v_cap, p_now) || jsonb_build_object('team_id', p_member.account_id);
end
$$;

-- The state of the cap that a team's member has, as a list that adds to ducto.cap_states: empty
-- where there is none, and for an account that is no team's.
create or replace function ducto.member_caps(
    p_account ducto.account,
    p_user_id text,
    p_amount numeric,
    p_now timestamptz
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_member ducto.member;
    v_state jsonb;
begin
    if p_account.kind = 'team' then
        v_member := ducto.find_member(p_account, p_user_id, p_now);
    end if;
    if v_member.spend_cap is null then
        return '[]'::jsonb;
    end if;
    v_state := ducto.member_cap(v_member, p_now);
    return jsonb_build_array(v_state || jsonb_build_object(
        'exceeded', p_amount > 0 and (v_state -> 'remaining')::numeric < p_amount
    ));
end
$$;

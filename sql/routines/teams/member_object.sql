-- A member as callers see it; without a cap, what would be said of one is null.
create or replace function ducto.member_object(p_member ducto.member, p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_cap jsonb := case when p_member.spend_cap is not null
        then ducto.member_cap(p_member, p_now) end;
begin
    return jsonb_build_object(
        'team_id', p_member.account_id,
        'user_id', p_member.user_id,
        'role', p_member.role,
        'spend_cap', v_cap -> 'limit',
        'cap_type', v_cap -> 'cap_type',
        'used', v_cap -> 'used',
        'remaining', v_cap -> 'remaining',
        'resets_at', v_cap -> 'resets_at',
        'created_at', p_member.created_at
    );
end
$$;

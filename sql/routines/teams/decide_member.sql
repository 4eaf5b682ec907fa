-- Whether the team pays for this user: who is no member learns nothing about the account, whatever
-- else was decided; and a member's cap denies as a cap of the account does.
create or replace function ducto.decide_member(
    p_draft ducto.draft,
    p_account ducto.account,
    p_user_id text,
    p_amount numeric,
    p_now timestamptz
)
returns ducto.draft
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.draft := p_draft;
    v_member ducto.member;
    v_fact jsonb;
begin
    if p_user_id = p_account.account_id then
        v.failure := ducto.invalid('p_user_id', format(
            '%s is a team, which pays for a member: name both, as ducto_deduct_team and p_team_id '
            'do.', p_user_id
        ));
        return v;
    end if;
    v_member := ducto.find_member(p_account, p_user_id, p_now);
    if v_member.user_id is null then
        v.failure := ducto.failure('error', 'DU016', jsonb_build_object(
            'team_id', p_account.account_id, 'user_id', p_user_id
        ));
    elsif v.failure is null and p_amount > 0 and v_member.spend_cap is not null then
        v_fact := ducto.member_cap(v_member, p_now);
        if (v_fact -> 'used')::numeric + p_amount > v_member.spend_cap then
            v.failure := ducto.failure('denied', 'DU001', v_fact || jsonb_build_object(
                'required', trim_scale(p_amount),
                'message', format(
                    'The %s spend cap of %s in the team %s is reached: %s of %s used, %s more '
                    'asked for; it resets at %s.', v_member.cap_type, p_user_id,
                    p_account.account_id, v_fact ->> 'used', v_fact ->> 'limit',
                    trim_scale(p_amount), v_fact ->> 'resets_at'
                ),
                'hint', 'Wait for the reset, or raise the cap with ducto_update_team_member.'
            ));
        end if;
    end if;
    return v;
end
$$;
comment on function ducto.decide_member(
    ducto.draft, ducto.account, text, numeric, timestamptz
) is
    'The draft with its failure. p_amount: what counts against the cap.';

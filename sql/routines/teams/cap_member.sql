-- A member with the cap that p_member names, counted once, when it is set: what the window has seen
-- of the member's charges so far, and what the member's open holds take. A cap below is refused.
create or replace function ducto.cap_member(p_member ducto.member, p_now timestamptz)
returns ducto.member
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.member := p_member;
    v_window record;
begin
    if v.spend_cap is null then
        v.cap_type := null;
        v.window_start := null;
        v.window_end := null;
        v.spent := 0;
        v.held := 0;
        return v;
    end if;
    v_window := ducto.period(v.cap_type, p_now);
    v.window_start := v_window.period_start;
    v.window_end := v_window.period_end;
    v.spent := ducto.spent_since(v.account_id, '', v.window_start, v.user_id);
    v.held := ducto.capped_holds(v.account_id, '', null, v.user_id);
    if v.spend_cap < v.spent + v.held then
        perform ducto.raise_error('DU017', ducto.member_cap(v, p_now) || ducto.invalid(
            'p_spend_cap', format(
                '%s has already used %s of the team %s in this window: a %s cap of %s lies below '
                'that.', v.user_id, trim_scale(v.spent + v.held), v.account_id, v.cap_type,
                trim_scale(v.spend_cap)
            )
        ));
    end if;
    return v;
end
$$;
comment on function ducto.cap_member(ducto.member, timestamptz) is
    'Of a locked team that is up to date; raises DU017. Not yet saved.';

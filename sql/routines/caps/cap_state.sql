-- A cap as callers see it: used (what open holds take included), limit, what is left and when the
-- window ends.
create or replace function ducto.cap_state(p_cap ducto.cap, p_now timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_used numeric := p_cap.held + case when p_cap.window_end > p_now then p_cap.spent else 0 end;
    v_end timestamptz := p_cap.window_end;
begin
    if v_end <= p_now then
        select w.period_end into v_end from ducto.period(p_cap.cap_type, p_now) w;
    end if;
    return jsonb_build_object(
        'user_id', p_cap.account_id,
        'cap_type', p_cap.cap_type,
        'model', nullif(p_cap.model, ''),
        'limit', trim_scale(p_cap.amount_limit),
        'used', trim_scale(v_used),
        'remaining', trim_scale(greatest(p_cap.amount_limit - v_used, 0)),
        'action', p_cap.action,
        'resets_at', v_end
    );
end
$$;

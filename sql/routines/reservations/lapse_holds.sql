-- Writes down what has already stopped counting: holds of the locked account past their deadline
-- set nothing aside any more. Taking a hold and the reaper also close them, but for one that may
-- still be settled late, within the grace.
create or replace function ducto.lapse_holds(
    p_account ducto.account,
    p_now timestamptz,
    p_close boolean
)
returns ducto.account
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
    v_grace interval := case when p_close then ducto.settle_grace() end;
    v_hold ducto.reservation;
begin
    for v_hold in
        select r.* from ducto.credit_reservations r
        where r.account_id = v.account_id and r.status = 'active' and r.expires_at <= p_now
            and (r.counted or r.expires_at <= p_now - v_grace)
        order by r.expires_at
    loop
        v := ducto.uncount_hold(v, v_hold, v_hold.held);
        if v_hold.expires_at <= p_now - v_grace then
            perform ducto.close_hold(v_hold, 'expired', p_now);
        end if;
    end loop;
    return v;
end
$$;
comment on function ducto.lapse_holds(ducto.account, timestamptz, boolean) is
    'The account, not yet saved. p_close: also closes those whose grace has passed.';

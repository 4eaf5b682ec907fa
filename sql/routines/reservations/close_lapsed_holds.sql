-- Writes down what has already stopped counting: holds of the locked account past their deadline.
-- One that may still be settled late, within the grace, stays open.
create or replace function ducto.close_lapsed_holds(p_account_id text, p_now timestamptz)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hold ducto.credit_reservations;
    v_count integer := 0;
begin
    for v_hold in
        select r.* from ducto.credit_reservations r
        where r.account_id = p_account_id
            and r.status = 'active'
            and r.expires_at + ducto.settle_grace() <= p_now
        order by r.expires_at
    loop
        perform ducto.close_hold(v_hold, 'expired', p_now);
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;

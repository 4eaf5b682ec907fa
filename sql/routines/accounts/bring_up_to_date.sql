-- Writes down what time has changed of the locked account: lapsed holds stop counting, lapsed lots
-- are booked, the period's allowance is granted. Every operation that moves money does this before
-- it decides, so that the chain of entries has no gap. Mostly there is nothing to do, and two
-- comparisons tell.
create or replace function ducto.bring_up_to_date(
    p_account ducto.account,
    p_terms ducto.terms,
    p_now timestamptz
)
returns ducto.account
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
    v_due ducto.lot;
    v_lapse ducto.lapsed;
    v_lapsed boolean := false;
begin
    if p_now < v.stale_at and not p_terms.allowance_due then
        return v;
    end if;
    if p_now >= v.stale_at then
        v := ducto.lapse_holds(v, p_now, false);
        v_lapse := ducto.book_expiry(v, p_now);
        v := v_lapse.account;
        v_lapsed := v_lapse.lots > 0;
    end if;
    if p_terms.allowance_due then
        foreach v_due in array ducto.due_lots(v, p_terms, p_now) loop
            v := ducto.grant_due_lot(v, p_terms.plan_key, v_due, p_now);
        end loop;
        v.allowance_until := (ducto.account_period(v, p_terms, p_now)).period_end;
        v.allowance_version := p_terms.version;
    end if;
    if v_lapsed or p_terms.allowance_due then
        -- Credits that lapsed may leave little, a new allowance plenty.
        v.alerted_below := ducto.check_thresholds(v, p_terms.thresholds, p_now, v_lapsed);
    end if;
    if p_now >= p_account.stale_at then
        v.stale_at := least(
            (
                select min(l.expires_at) from ducto.credit_lots l
                where l.account_id = v.account_id and l.live
            ),
            (
                select min(r.expires_at) from ducto.credit_reservations r
                where r.account_id = v.account_id and r.status = 'active' and r.counted
            ),
            'infinity'
        );
    end if;
    perform ducto.save_account(v);
    return v;
end
$$;
comment on function ducto.bring_up_to_date(ducto.account, ducto.terms, timestamptz) is
    'Returns the account as it then is, saved.';

-- The account as ducto.bring_up_to_date would leave it, without writing anything: what has lapsed
-- does not count, an allowance that is due does. Every reading of a balance ends here.
create or replace function ducto.foresee(
    p_account ducto.account,
    p_terms ducto.terms,
    p_now timestamptz
)
returns ducto.account
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
    v_due ducto.lot;
begin
    if p_now >= v.stale_at then
        select v.allowance - coalesce(sum(l.remaining) filter (where l.free), 0),
            v.balance - coalesce(sum(l.remaining) filter (where not l.free), 0)
        into v.allowance, v.balance
        from ducto.lots_now l
        where l.account_id = v.account_id and l.live and l.expires_at <= p_now;
        select v.held - coalesce(sum(r.held), 0) into v.held
        from ducto.credit_reservations r
        where r.account_id = v.account_id and r.status = 'active' and r.counted
            and r.expires_at <= p_now;
    end if;
    if p_terms.allowance_due then
        foreach v_due in array ducto.due_lots(v, p_terms, p_now) loop
            if v_due.kind = 'allowance' then
                v.allowance := v.allowance + v_due.remaining;
            else
                v.balance := v.balance + v_due.remaining;
            end if;
        end loop;
    end if;
    return v;
end
$$;
comment on function ducto.foresee(ducto.account, ducto.terms, timestamptz) is
    'p_account as ducto.find_account or ducto.lock_account returned it.';

-- What an account can spend at p_now, decided by predicate: lapsed lots and holds past their
-- deadline do not count, an allowance that is due does, whether or not anyone has written it down.
create or replace function ducto.read_position(
    p_account ducto.credit_accounts,
    p_terms ducto.terms,
    p_now timestamptz
)
returns ducto.position
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_position ducto.position;
    v_due ducto.lot[];
begin
    select
        array_agg(row(
            l.lot_id, l.kind, l.category, l.remaining, l.priority, l.expires_at, l.created_at
        )::ducto.lot) filter (where l.expires_at is null or l.expires_at > p_now),
        coalesce(sum(l.remaining) filter (
            where l.kind <> 'allowance' and (l.expires_at is null or l.expires_at > p_now)
        ), 0) - p_account.debt,
        coalesce(sum(l.remaining) filter (
            where l.kind = 'allowance' and l.expires_at > p_now
        ), 0),
        coalesce((
            select sum(r.held) from ducto.credit_reservations r
            where r.account_id = p_account.account_id
                and r.status = 'active'
                and r.expires_at > p_now
        ), 0),
        coalesce(bool_or(l.expires_at <= p_now), false)
    into v_position
    from ducto.credit_lots l
    where l.account_id = p_account.account_id and l.live and l.effective_at <= p_now;

    if p_terms.plan_key is not null
        and (p_account.allowance_until > p_now
            and p_account.allowance_version = p_terms.version) is not true
    then
        v_due := ducto.due_lots(p_account, p_terms, p_now);
        v_position.stale := true;
        v_position.lots := v_position.lots || v_due;
        select
            v_position.balance + coalesce(sum(d.remaining) filter (where d.kind = 'rollover'), 0),
            v_position.allowance
                + coalesce(sum(d.remaining) filter (where d.kind = 'allowance'), 0)
        into v_position.balance, v_position.allowance
        from unnest(v_due) d;
    end if;
    if cardinality(v_position.lots) > 1 then
        v_position.lots := ducto.consumption_order(v_position.lots);
    end if;
    return v_position;
end
$$;
comment on function ducto.read_position(ducto.credit_accounts, ducto.terms, timestamptz) is
    'Balance, allowance, active holds and the spendable lots of an account, in order.';

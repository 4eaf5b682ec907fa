-- Running totals and flags are what the rows behind them say.
create or replace function ducto.check_counters()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
begin
    return query
    select 'cap', c.account_id, jsonb_build_object(
        'cap_type', c.cap_type, 'model', nullif(c.model, ''), 'spent', c.spent,
        'entries', s.spent, 'held', c.held, 'holds', s.held
    )
    from ducto.credit_accounts a
    cross join lateral ducto.find_caps(a.account_id, v_now) c
    cross join lateral (
        select ducto.spent_since(c.account_id, c.model, c.window_start) as spent,
            ducto.capped_holds(c.account_id, c.model)
                - ducto.capped_holds(c.account_id, c.model, v_now) as held
    ) s
    where a.has_caps and (c.window_end > v_now and c.spent <> s.spent or c.held <> s.held)
    union all
    select 'holds', a.account_id, jsonb_build_object('held', a.held, 'holds', coalesce(r.held, 0))
    from ducto.credit_accounts a
    left join (
        select h.account_id, sum(h.held) filter (where h.status = 'active' and h.counted) as held,
            bool_or(h.held <> 0 and (h.status <> 'active' or not h.counted)) as leaked
        from ducto.credit_reservations h group by h.account_id
    ) r on r.account_id = a.account_id
    where a.held <> coalesce(r.held, 0) or r.leaked
    union all
    select 'has_caps', a.account_id, jsonb_build_object('has_caps', a.has_caps)
    from ducto.credit_accounts a
    where a.has_caps <> exists (
        select from ducto.credit_spend_caps c where c.account_id = a.account_id
    )
    union all
    select 'keyed_holds', a.account_id, jsonb_build_object('keyed_holds', a.keyed_holds)
    from ducto.credit_accounts a
    where not a.keyed_holds and exists (
        select from ducto.credit_reservations r
        where r.account_id = a.account_id and r.idempotency_key is not null
    );
end
$$;

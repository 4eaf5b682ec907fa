-- Running totals and flags are what the rows behind them say.
create or replace function ducto.check_counters()
returns table (check_name text, user_id text, detail jsonb)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select 'cap', c.account_id, jsonb_build_object(
        'cap_type', c.cap_type, 'model', nullif(c.model, ''), 'spent', c.spent, 'entries', s.spent
    )
    from ducto.credit_spend_caps c
    cross join lateral (
        select ducto.spent_since(c.account_id, c.model, c.window_start) as spent
    ) s
    where c.window_end > ducto.now() and c.spent <> s.spent
    union all
    select 'holds', a.account_id, jsonb_build_object(
        'open_holds', a.open_holds, 'active', coalesce(r.active, 0)
    )
    from ducto.credit_accounts a
    left join (
        select h.account_id, count(*) filter (where h.status = 'active') as active,
            bool_or(h.status <> 'active' and h.held <> 0) as leaked
        from ducto.credit_reservations h group by h.account_id
    ) r on r.account_id = a.account_id
    where a.open_holds <> coalesce(r.active, 0) or r.leaked
    union all
    select 'has_caps', a.account_id, jsonb_build_object('has_caps', a.has_caps)
    from ducto.credit_accounts a
    where a.has_caps <> exists (
        select from ducto.credit_spend_caps c where c.account_id = a.account_id
    );
$$;

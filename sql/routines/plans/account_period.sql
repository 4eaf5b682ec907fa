-- The period of an account's plan around p_now: calendar, or from the account's own anchor.
create or replace function ducto.account_period(
    p_account ducto.account,
    p_terms ducto.terms,
    p_now timestamptz,
    out period_start timestamptz,
    out period_end timestamptz
)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select w.period_start, w.period_end
    from ducto.period(
        p_terms.period,
        p_now,
        case when p_terms.anchored then coalesce(p_account.period_anchor, p_account.created_at) end
    ) w;
$$;

-- Adds a charge to its caps' running totals, starting the windows anew that have ended.
create or replace function ducto.count_caps(
    p_account_id text,
    p_models text[],
    p_amount numeric,
    p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    update ducto.credit_spend_caps c set
        spent = p_amount + case when c.window_end > p_now then c.spent else 0 end,
        window_start = case when c.window_end > p_now then c.window_start
            else (ducto.period(c.cap_type, p_now)).period_start end,
        window_end = case when c.window_end > p_now then c.window_end
            else (ducto.period(c.cap_type, p_now)).period_end end
    where c.account_id = p_account_id and c.model = any (p_models);
end
$$;
comment on function ducto.count_caps(text, text[], numeric, timestamptz) is
    'Counts p_amount against the caps on p_models of the locked account.';

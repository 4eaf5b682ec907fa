-- Adds a charge to the running total of its member's cap, starting the window anew that has ended.
-- A member without a cap has none: what such a one spent, the rollup says.
create or replace function ducto.count_member(
    p_team_id text,
    p_user_id text,
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
    update ducto.credit_team_members m set
        spent = p_amount + case when m.window_end > p_now then m.spent else 0 end,
        window_start = case when m.window_end > p_now then m.window_start
            else (ducto.period(m.cap_type, p_now)).period_start end,
        window_end = case when m.window_end > p_now then m.window_end
            else (ducto.period(m.cap_type, p_now)).period_end end
    where m.account_id = p_team_id and m.user_id = p_user_id and m.spend_cap is not null;
end
$$;

-- The period around p_now: calendar periods in UTC, or counted from an anchor without drifting
-- (31 January, 28 February, 31 March). Never depends on the session's time zone.
create or replace function ducto.period(
    p_period text,
    p_now timestamptz,
    p_anchor timestamptz default null,
    out period_start timestamptz,
    out period_end timestamptz
)
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_step interval := case p_period
        when 'daily' then interval '1 day'
        when 'weekly' then interval '7 days'
        when 'monthly' then interval '1 month'
        when 'yearly' then interval '1 year'
    end;
    v_unit text := case p_period
        when 'daily' then 'day' when 'weekly' then 'week'
        when 'monthly' then 'month' when 'yearly' then 'year'
    end;
    v_now timestamp := p_now at time zone 'UTC';
    v_anchor timestamp := p_anchor at time zone 'UTC';
    v_count integer;
begin
    if v_anchor is null then
        period_start := date_trunc(v_unit, v_now) at time zone 'UTC';
        period_end := (date_trunc(v_unit, v_now) + v_step) at time zone 'UTC';
        return;
    end if;
    -- An estimate that is never too high, then stepped up to the period that holds p_now.
    v_count := (case
        when p_period in ('daily', 'weekly') then floor(
            extract(epoch from v_now - v_anchor) / extract(epoch from v_step)
        )
        when p_period = 'monthly' then
            (extract(year from v_now) - extract(year from v_anchor)) * 12
            + extract(month from v_now) - extract(month from v_anchor) - 1
        else extract(year from v_now) - extract(year from v_anchor) - 1
    end)::integer;
    while v_anchor + (v_count + 1) * v_step <= v_now loop
        v_count := v_count + 1;
    end loop;
    period_start := (v_anchor + v_count * v_step) at time zone 'UTC';
    period_end := (v_anchor + (v_count + 1) * v_step) at time zone 'UTC';
end
$$;
comment on function ducto.period(text, timestamptz, timestamptz) is
    'Start and end of the daily, weekly (from Monday), monthly or yearly period around p_now.';

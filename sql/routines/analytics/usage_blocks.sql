-- The spans of the rollup, and of the ledger, that make a window. Of two ways, from the longest
-- spans there may be and from the next shorter ones, the one with fewer of a day or longer: half a
-- long span is better read by itself than as the whole less the other half.
create or replace function ducto.usage_blocks(
    p_state ducto.credit_usage_state,
    p_scope text,
    p_start timestamptz,
    p_end timestamptz,
    p_bucket text
)
returns table (hours integer, sign integer, from_at timestamptz, to_at timestamptz)
language plpgsql
stable
rows 8
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_ladder integer[];
begin
    -- Where nothing lies outside of the window, it may as well be made of the longest spans.
    if p_start <= p_state.first_at then
        p_start := ducto.usage_span(768, p_state.first_at);
    end if;
    if p_end > p_state.last_at then
        p_end := ducto.usage_span(768, p_state.last_at) + interval '768 hours';
    end if;
    if p_state.first_at is null or p_start >= p_end then
        return;
    end if;
    -- Not the spans that are much longer than the window, nor one that reaches into two buckets.
    v_ladder := array(
        select l.hours from ducto.usage_ladder() l
        where l.scope = p_scope
            and (p_bucket is null or l.hours <= 24)
            and l.span * 2 <= (p_end - p_start) * 3
        order by l.hours desc
    );
    return query
    with ways as materialized (
        select w.way, b.*
        from generate_series(1, case when v_ladder[1] > 24 then 2 else 1 end) w (way)
        cross join lateral ducto.usage_steps(v_ladder[w.way:], p_start, p_end) b
    ), best as (
        select w.way from ways w
        group by w.way
        order by sum(extract(epoch from w.to_at - w.from_at) / w.hours)
            filter (where w.hours >= 24), w.way
        limit 1
    )
    select w.hours, w.sign, w.from_at, w.to_at from ways w join best on best.way = w.way;
end
$$;

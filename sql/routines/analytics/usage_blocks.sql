-- Takes a window apart: the longest spans that fit into it, then shorter ones on both sides. What
-- is left (hours 0) is shorter than the shortest span, and is read from the ledger.
create or replace function ducto.usage_blocks(
    p_state ducto.credit_usage_state,
    p_scope text,
    p_start timestamptz,
    p_end timestamptz,
    p_bucket text
)
returns table (hours integer, from_at timestamptz, to_at timestamptz)
language plpgsql
stable
rows 8
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rest tstzmultirange;
    v_part tstzrange;
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
    v_rest := tstzmultirange(tstzrange(p_start, p_end));
    for hours in
        select l.hours from ducto.usage_ladder() l
        -- A span must not reach into two buckets.
        where l.scope = p_scope
            and (p_bucket is null or l.hours <= 24)
        order by l.hours desc
    loop
        for v_part in select r.part from unnest(v_rest) r (part) loop
            from_at := ducto.usage_span(
                hours, lower(v_part) + make_interval(hours => hours) - interval '1 microsecond'
            );
            to_at := ducto.usage_span(hours, upper(v_part));
            if from_at < to_at then
                return next;
                v_rest := v_rest - tstzmultirange(tstzrange(from_at, to_at));
            end if;
        end loop;
    end loop;
    hours := 0;
    for from_at, to_at in select lower(r.part), upper(r.part) from unnest(v_rest) r (part) loop
        return next;
    end loop;
end
$$;

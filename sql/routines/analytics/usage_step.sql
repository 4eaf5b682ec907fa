-- From one beginning of a span so many of them on, back or ahead, that what is left to an instant
-- is at most p_most of one: more is better reached by one span more, and back from there.
create or replace function ducto.usage_step(
    p_hours integer,
    p_from timestamptz,
    p_to timestamptz,
    p_most numeric
)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_from timestamptz;
    v_left numeric;
begin
    if p_hours = 0 then
        return p_to;
    end if;
    v_from := coalesce(p_from, ducto.usage_span(p_hours, p_to));
    v_left := (extract(epoch from p_to) - extract(epoch from v_from)) / (p_hours * 3600);
    return v_from
        + make_interval(hours => p_hours * (sign(v_left) * ceil(abs(v_left) - p_most))::integer);
end
$$;
comment on function ducto.usage_step(integer, timestamptz, timestamptz, numeric) is
    'p_from null: the span that p_to is in; p_hours 0: p_to itself.';

-- The beginning of the span of so many hours that an instant is in.
create or replace function ducto.usage_span(p_hours integer, p_at timestamptz)
returns timestamptz
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select date_bin(make_interval(hours => p_hours), p_at, '1900-01-01 00:00:00+00');
$$;

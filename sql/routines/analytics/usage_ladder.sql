-- Which spans are summed for which scope: the finer ones only where they hold far fewer rows than
-- the ledger, the longer ones so that a month of many users is read in few rows of each. A span
-- holds whole ones of the next shorter; all are counted from one midnight UTC.
create or replace function ducto.usage_ladder()
returns table (scope text, hours integer, span interval, origin timestamptz)
language sql
immutable
parallel safe
rows 27
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select l.scope, l.hours, make_interval(hours => l.hours),
        timestamptz '1900-01-01 00:00:00+00'
    from (
        values ('detail', 24), ('model', 24), ('model', 1)
        union all
        select s.scope, h.hours
        from unnest(array['user', 'member', 'team']) s (scope),
            unnest(array[768, 384, 192, 96, 48, 24, 6, 1]) h (hours)
    ) l (scope, hours);
$$;

-- Which spans are summed for which scope: the finer ones only where they hold far fewer rows than
-- the ledger, the longer ones so that a month of many users is read in few rows of each. A span
-- holds whole ones of the next shorter; all are counted from one midnight UTC.
create or replace function ducto.usage_ladder()
returns table (scope text, hours integer, span interval, origin timestamptz)
language sql
immutable
parallel safe
rows 10
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select l.scope, l.hours, make_interval(hours => l.hours),
        timestamptz '1900-01-01 00:00:00+00'
    from (
        values ('detail', 24), ('model', 24), ('model', 1),
            ('user', 768), ('user', 384), ('user', 192), ('user', 96), ('user', 48), ('user', 24),
            ('user', 1)
    ) l (scope, hours);
$$;

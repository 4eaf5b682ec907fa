-- A linear form times a constant one; null where the second depends on a metric.
create or replace function ducto.scaled_form(p_form numeric[], p_factor numeric[])
returns numeric[]
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return case when 0 = all (p_factor[2:]) then array(
    select f.value * p_factor[1]
    from unnest(p_form) with ordinality f (value, place) order by f.place
) end;

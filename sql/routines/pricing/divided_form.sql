-- A linear form by a constant one, where the quotient is exact for every whole metric: by ten,
-- a hundred, and so on, with digits to spare before the 24th, at which a division is rounded.
create or replace function ducto.divided_form(p_form numeric[], p_divisor numeric[])
returns numeric[]
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return case when 0 = all (p_divisor[2:])
    and p_divisor[1] in (10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000)
    and not exists (select from unnest(p_form) f (value) where scale(f.value) > 12)
then array(
    select trim_scale(round(f.value / p_divisor[1], 24))
    from unnest(p_form) with ordinality f (value, place) order by f.place
) end;

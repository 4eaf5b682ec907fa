-- Numbers out of a JSON array, in their order.
create or replace function ducto.number_array(p_numbers jsonb)
returns numeric[]
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return array(
    select n.value::numeric
    from jsonb_array_elements_text(p_numbers) with ordinality n (value, place)
    order by n.place
);

-- How often each tool occurs in a list of names or of objects with a name; null: one of them has
-- no name of 1 to 200 characters.
create or replace function ducto.count_calls(p_calls jsonb)
returns jsonb
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select case when coalesce(bool_and(c.valid), true)
            then coalesce(jsonb_object_agg(c.name, c.count) filter (where c.valid), '{}') end
        from (
            select n.name #>> '{}' as name, count(*) as count, coalesce(
                jsonb_typeof(n.name) = 'string' and length(n.name #>> '{}') between 1 and 200,
                false
            ) as valid
            from jsonb_array_elements(p_calls) a
            cross join lateral (
                select case when jsonb_typeof(a.value) = 'object' then a.value -> 'name'
                    else a.value end
            ) n(name)
            group by 1, 3
        ) c
    );
end
$$;
comment on function ducto.count_calls(jsonb) is
    'Calls per tool of a list of tool calls.';

-- How often each tool occurs in a list of names or of objects with a name.
create or replace function ducto.count_calls(p_calls jsonb)
returns jsonb
language sql
immutable
parallel safe
security invoker
set search_path = ''
return (
    select coalesce(jsonb_object_agg(c.name, c.count), '{}')
    from (
        select coalesce(a.value ->> 'name', a.value #>> '{}') as name, count(*) as count
        from jsonb_array_elements(p_calls) a
        group by 1
    ) c
    where c.name is not null
);
comment on function ducto.count_calls(jsonb) is
    'Calls per tool of a list of tool calls.';

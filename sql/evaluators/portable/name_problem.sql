-- What keeps a value from being the name of a model, plan, tool or feature; null: nothing.
create or replace function ducto.name_problem(p_name jsonb)
returns text
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when jsonb_typeof(p_name) <> 'string' then 'a name must be a text'
        when length(p_name #>> '{}') not between 1 and 200
            then 'a name must have 1 to 200 characters'
        when p_name #>> '{}' ~ E'[\u0001-\u001f\u007f]'
            then 'a name must not contain control characters'
        end;
end
$$;
comment on function ducto.name_problem(jsonb) is
    'What is wrong with a name in a pricing config; null: nothing.';

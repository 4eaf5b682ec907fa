-- What is wrong with a metric that is a name: null when it is a text of 1 to 200 characters.
create or replace function ducto.text_problem(p_name text, p_value jsonb)
returns text
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(p_value) = 'string' and length(p_value #>> '{}') between 1 and 200 then
        return null;
    end if;
    return format('''%s'' must be a text of 1 to 200 characters', p_name);
end
$$;
comment on function ducto.text_problem(text, jsonb) is
    'What is wrong with a metric that must be a name; null: nothing.';

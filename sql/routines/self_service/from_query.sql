-- An argument of a GET request: PostgREST hands the text of the address over as a JSON string.
create or replace function ducto.from_query(p_value jsonb)
returns jsonb
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(p_value) = 'string' then
        return (p_value #>> '{}')::jsonb;
    end if;
    return p_value;
exception when data_exception or program_limit_exceeded then
    -- No JSON in it: whoever checks the argument says so.
    return p_value;
end
$$;
comment on function ducto.from_query(jsonb) is
    'p_value, or the JSON in it where it is a string.';

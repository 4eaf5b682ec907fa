-- Whether a usage that names neither a model nor a job needs a model: unless all that was used is
-- tools, search and caches, which models do not price.
create or replace function ducto.needs_model(p_usage jsonb)
returns boolean
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from jsonb_each(p_usage -> 'numbers') e
        where e.value <> '0'
            and e.key !~ '^(search|cache|web_search_calls|code_exec_calls|tool_calls)'
    );
end
$$;
comment on function ducto.needs_model(jsonb) is
    'Whether a usage without a model has anything that only a model''s price covers.';

-- Whether a usage that names no model needs one: unless it names a job, or all that was used is
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
    return p_usage -> 'job_name' = 'null' and exists (
        select from jsonb_each(p_usage -> 'numbers') e
        where e.value <> '0'
            and e.key <> 'tool_calls'
            and not starts_with(e.key, 'search')
            and not starts_with(e.key, 'cache')
    );
end
$$;
comment on function ducto.needs_model(jsonb) is
    'Whether a usage without a model has anything that only a model''s price covers.';

-- Runs a program on usages from nothing at all to 10^9 of everything. Returns {price} for
-- typical usage, or {message, reason, metrics} of the first usage it has no value for.
create or replace function ducto.prove_program(
    p_code integer[],
    p_constants numeric[],
    p_names text[]
)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_typical constant jsonb := '{
        "input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500, "reasoning_tokens": 100,
        "cached_tokens": 100, "cache_read_tokens": 100, "cache_write_tokens": 100,
        "cache_creation_tokens": 100, "cache_hits": 1, "cache_misses": 1, "tool_calls": 2,
        "search_calls": 1, "search_queries": 1, "search_results": 10, "web_search_calls": 1,
        "code_exec_calls": 1, "requests": 1
    }'::jsonb;
    v_count integer;
    v_usage jsonb;
    v_run record;
begin
    foreach v_count in array array[0, 1, 1000000000, null] loop
        v_usage := (
            select jsonb_object_agg(
                n.name,
                case when v_count is null then coalesce(v_typical -> n.name, '10')
                    else to_jsonb(v_count) end
            )
            from unnest(p_names) n(name)
        );
        v_run := ducto.run_program(p_code, p_constants, p_names, coalesce(v_usage, '{}'));
        if v_run.error is not null then
            return jsonb_build_object(
                'message', ducto.reason_sentence(v_run.error)
                || case when v_usage is null then ', whatever the usage' else ' with ' || (
                    select string_agg(
                        n.name || ' = ' || (v_usage ->> n.name), ', ' order by n.place
                    )
                    from unnest(p_names[:8]) with ordinality n(name, place)
                ) || case when cardinality(p_names) > 8 then ', ...' else '' end end,
                'reason', v_run.error,
                'metrics', coalesce(v_usage, '{}')
            );
        end if;
    end loop;
    return jsonb_build_object('price', trim_scale(v_run.value));
end
$$;
comment on function ducto.prove_program(integer[], numeric[], text[]) is
    'The price of typical usage, or the first usage that a program has no value for.';

-- The metrics that a usage priced with this config may report: the standard ones and its own, as
-- far as they can be metrics.
create or replace function ducto.config_metrics(p_config jsonb)
returns text[]
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select n.name
        from (
            select s.name, s.place
            from unnest('{
                input_tokens,output_tokens,total_tokens,reasoning_tokens,cached_tokens,
                cache_read_tokens,cache_write_tokens,cache_creation_tokens,cache_hits,cache_misses,
                tool_calls,search_calls,search_queries,search_results,web_search_calls,
                code_exec_calls,requests
            }'::text[]) with ordinality s(name, place)
            union all
            select c.name, 1000 + c.place
            from jsonb_array_elements_text(case
                when jsonb_typeof(p_config -> 'metrics') <> 'array'
                    or jsonb_array_length(p_config -> 'metrics') > 200
                    or p_config @? 'strict $.metrics[*] ? (@.type() != "string")' then '[]'
                else p_config -> 'metrics' end
            ) with ordinality c(name, place)
            where ducto.may_be_metric(c.name)
        ) n
        group by n.name
        order by min(n.place)
    );
$$;
comment on function ducto.config_metrics(jsonb) is
    'The metric names of a pricing config, standard ones first.';

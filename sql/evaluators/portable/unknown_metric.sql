-- Refuses a metric that the pricing version does not know: a typo must not be free.
create or replace function ducto.unknown_metric(p_name text, p_names text[])
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_shown text := case when length(p_name) <= 200 then p_name else left(p_name, 200) || '...' end;
    v_known text[] := array(
        select n.name from unnest(p_names) n(name)
        where n.name <> 'tool_calls'
        order by n.name collate "C"
    );
    v_nearest text := ducto.nearest(
        p_name, v_known || '{tool_calls,model,operation,job_name}'::text[]
    );
    v_error jsonb := ducto.metric_error(
        v_shown,
        format('unknown metric ''%s''', v_shown)
        || case when v_nearest is null then ''
            else format('; did you mean ''%s''?', v_nearest) end
    );
begin
    if v_nearest is null then
        return v_error;
    end if;
    return jsonb_set(v_error, '{detail,nearest}', to_jsonb(v_nearest));
end
$$;
comment on function ducto.unknown_metric(text, text[]) is
    'The error of a metric name that is not known, with the nearest one that is.';

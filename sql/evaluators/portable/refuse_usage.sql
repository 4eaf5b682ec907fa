-- Looks at metrics one by one. Returns {code, detail} of the first that is refused; null: none is.
-- What is wrong with tool_calls the caller has found out already.
create or replace function ducto.refuse_usage(
    p_metrics jsonb,
    p_names text[],
    p_calls_problem text
)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_bytes integer := octet_length(p_metrics::text);
    v_name text;
    v_value jsonb;
    v_problem text;
begin
    if v_bytes > 65536 then
        return ducto.metric_error(
            'metrics', format('the metrics have %s bytes, more than 64 kB', v_bytes)
        );
    elsif jsonb_typeof(p_metrics) is distinct from 'object' then
        return ducto.metric_error('metrics', 'the metrics must be a JSON object');
    elsif v_bytes > 400 and (select count(*) > 64 from jsonb_object_keys(p_metrics)) then
        return ducto.metric_error('metrics', 'more than 64 metrics');
    end if;
    for v_name, v_value in select e.key, e.value from jsonb_each(p_metrics) e loop
        if v_name = 'tool_calls' then
            v_problem := p_calls_problem;
        elsif v_name = any (p_names) then
            continue when jsonb_typeof(v_value) = 'number' and v_value::numeric >= 0
                and v_value::numeric <= 1e26 and scale(v_value::numeric) <= 40;
            v_problem := ducto.number_problem(v_name, v_value);
        elsif v_name in ('model', 'operation', 'job_name') then
            v_problem := ducto.text_problem(v_name, v_value);
        else
            return ducto.unknown_metric(v_name, p_names);
        end if;
        if v_problem is not null then
            return ducto.metric_error(v_name, v_problem);
        end if;
    end loop;
    return null;
end
$$;
comment on function ducto.refuse_usage(jsonb, text[], text) is
    'The error of the first metric that is refused; null: none is.';

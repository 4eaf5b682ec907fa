-- Validates metrics one by one. Returns {numbers, calls, unnamed_calls, model, job_name}: the numbers
-- with tool_calls as their total, the calls per tool, the calls that were only counted; or
-- {code, detail} of the first metric that is refused. price_portable comes here only for metrics
-- that its quick checks do not settle.
create or replace function ducto.read_usage(p_metrics jsonb, p_names text[])
returns jsonb
language plpgsql
immutable
parallel safe
security invoker
set search_path = ''
as $$
declare
    v_bytes integer := octet_length(p_metrics::text);
    v_name text;
    v_value jsonb;
    v_problem text;
    v_calls jsonb;
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
        v_problem := null;
        if v_name = 'tool_calls' then
            v_calls := ducto.read_calls(v_value);
            if v_calls ? 'code' then
                return v_calls;
            end if;
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
    return jsonb_build_object(
        'numbers', p_metrics - '{model,operation,job_name}'::text[]
            || case when v_calls is null then '{}'
                else jsonb_build_object('tool_calls', v_calls -> 'total') end,
        'calls', coalesce(v_calls -> 'calls', '{}'),
        'unnamed_calls', coalesce(v_calls -> 'unnamed', '0'),
        'model', p_metrics -> 'model',
        'job_name', p_metrics -> 'job_name'
    );
end
$$;
comment on function ducto.read_usage(jsonb, text[]) is
    'The usage in these metrics, or the error of the first one that is refused.';

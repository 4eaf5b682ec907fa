-- Validates metrics. Returns {model, job_name, numbers, calls, unnamed_calls}: the numbers with
-- tool_calls as their total, the calls per tool, the calls that were only counted; or
-- {code, detail} of the first metric that is refused. Plain numbers are checked all at once.
create or replace function ducto.read_usage(p_metrics jsonb, p_names text[])
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_numbers jsonb;
    v_calls jsonb;
    v_refusal jsonb;
begin
    if jsonb_typeof(p_metrics) = 'object' and cardinality(p_names) <= 60
        and coalesce(length(p_metrics ->> 'model'), 1) between 1 and 200
        and coalesce(length(p_metrics ->> 'operation'), 1) between 1 and 200
        and coalesce(length(p_metrics ->> 'job_name'), 1) between 1 and 200
        and coalesce(jsonb_typeof(p_metrics -> 'model'), 'string') = 'string'
        and coalesce(jsonb_typeof(p_metrics -> 'operation'), 'string') = 'string'
        and coalesce(jsonb_typeof(p_metrics -> 'job_name'), 'string') = 'string'
    then
        v_numbers := p_metrics - '{model,operation,job_name}'::text[];
        if v_numbers - p_names = '{}' and v_numbers::text !~ '[.][0-9]{41}'
            and not v_numbers @? 'strict $.* ? (@.type() != "number" || @ < 0
                || @ > 100000000000000000000000000)'
        then
            return jsonb_build_object(
                'model', p_metrics -> 'model', 'job_name', p_metrics -> 'job_name',
                'numbers', v_numbers, 'calls', '{}'::jsonb,
                'unnamed_calls', coalesce(v_numbers -> 'tool_calls', '0')
            );
        end if;
    end if;
    if p_metrics -> 'tool_calls' is not null then
        v_calls := ducto.read_calls(p_metrics -> 'tool_calls');
    end if;
    v_refusal := ducto.refuse_usage(p_metrics, p_names, v_calls ->> 'problem');
    if v_refusal is not null then
        return v_refusal;
    end if;
    v_numbers := p_metrics - '{model,operation,job_name}'::text[];
    if v_calls is not null then
        v_numbers := v_numbers || jsonb_build_object('tool_calls', v_calls -> 'total');
    end if;
    return jsonb_build_object(
        'model', p_metrics -> 'model',
        'job_name', p_metrics -> 'job_name',
        'numbers', v_numbers,
        'calls', coalesce(v_calls -> 'calls', '{}'),
        'unnamed_calls', coalesce(v_calls -> 'unnamed', '0')
    );
end
$$;
comment on function ducto.read_usage(jsonb, text[]) is
    'The usage in these metrics, or the error of the first one that is refused.';

-- Reads tool_calls: a number, an object of counts, or a list of names or of objects with a name.
-- Returns {total, calls: {tool: count}, unnamed: calls that were only counted}, or {code, detail}.
create or replace function ducto.read_calls(p_calls jsonb)
returns jsonb
language plpgsql
immutable
parallel safe
security invoker
set search_path = ''
as $$
declare
    v_total numeric := 0::numeric;
    v_calls jsonb := '{}'::jsonb;
    v_key text;
    v_value jsonb;
    v_problem text;
begin
    if jsonb_typeof(p_calls) = 'array' then
        for v_value in select a.value from jsonb_array_elements(p_calls) a loop
            if jsonb_typeof(v_value) = 'object' then
                v_value := v_value -> 'name';
            end if;
            v_problem := ducto.text_problem('tool_calls', v_value);
            exit when v_problem is not null;
        end loop;
        v_total := jsonb_array_length(p_calls)::numeric;
        v_calls := ducto.count_calls(p_calls);
    elsif jsonb_typeof(p_calls) = 'object' then
        for v_key, v_value in select e.key, e.value from jsonb_each(p_calls) e loop
            v_problem := ducto.number_problem('tool_calls', v_value);
            exit when v_problem is not null;
            if v_value::numeric <> trunc(v_value::numeric) then
                v_problem := 'counts of tool calls must be whole numbers';
                exit;
            end if;
            v_total := v_total + v_value::numeric;
            v_problem := coalesce(
                ducto.number_problem('tool_calls', to_jsonb(v_total)),
                case when v_value::numeric > 0 then
                    ducto.text_problem('tool_calls', to_jsonb(v_key)) end
            );
            exit when v_problem is not null;
            v_calls := v_calls || case when v_value::numeric > 0 then
                jsonb_build_object(v_key, trim_scale(v_value::numeric)) else '{}' end;
        end loop;
    else
        v_problem := ducto.number_problem('tool_calls', p_calls);
        return case
            when v_problem is null then
                jsonb_build_object('total', p_calls, 'calls', '{}'::jsonb, 'unnamed', p_calls)
            else ducto.metric_error('tool_calls', v_problem) end;
    end if;
    if v_problem is not null then
        return ducto.metric_error('tool_calls', v_problem);
    end if;
    return jsonb_build_object('total', v_total, 'calls', v_calls, 'unnamed', 0);
end
$$;
comment on function ducto.read_calls(jsonb) is
    'The tool calls of a usage: their total, and how many each tool has.';

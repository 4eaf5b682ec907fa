-- Reads tool_calls: a number, an object of counts, or a list of names or of objects with a name.
-- Returns {total, calls: {tool: count}, unnamed: calls that were only counted}, or {problem}.
create or replace function ducto.read_calls(p_calls jsonb)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_total numeric := 0::numeric;
    v_calls jsonb := '{}'::jsonb;
    v_key text;
    v_value jsonb;
    v_problem text;
begin
    if jsonb_typeof(p_calls) = 'array' then
        v_total := jsonb_array_length(p_calls)::numeric;
        v_calls := ducto.count_calls(p_calls);
        if v_calls is null then
            v_problem := ducto.text_problem('tool_calls', null);
        end if;
    elsif jsonb_typeof(p_calls) = 'object' then
        for v_key, v_value in select e.key, e.value from jsonb_each(p_calls) e loop
            v_problem := ducto.number_problem('tool_calls', v_value);
            exit when v_problem is not null;
            if v_value::numeric <> trunc(v_value::numeric) then
                v_problem := 'counts of tool calls must be whole numbers';
                exit;
            end if;
            v_total := v_total + v_value::numeric;
            v_problem := ducto.number_problem('tool_calls', to_jsonb(v_total));
            exit when v_problem is not null;
            continue when v_value::numeric = 0;
            v_problem := ducto.text_problem('tool_calls', to_jsonb(v_key));
            exit when v_problem is not null;
        end loop;
        if v_problem is null then
            v_calls := (
                select coalesce(jsonb_object_agg(e.key, trim_scale(e.value::numeric)), '{}')
                from jsonb_each(p_calls) e
                where e.value::numeric <> 0
            );
        end if;
    else
        v_problem := ducto.number_problem('tool_calls', p_calls);
        if v_problem is null then
            return jsonb_build_object('total', p_calls, 'calls', v_calls, 'unnamed', p_calls);
        end if;
    end if;
    if v_problem is not null then
        return jsonb_build_object('problem', v_problem);
    end if;
    return jsonb_build_object('total', v_total, 'calls', v_calls, 'unnamed', 0);
end
$$;
comment on function ducto.read_calls(jsonb) is
    'The tool calls of a usage: their total, and how many each tool has; or the problem.';

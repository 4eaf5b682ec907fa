-- The price of tool calls: tools with a rate of their own one by one, all others together with
-- _default; without one they cost nothing, which each is warned about.
create or replace function ducto.price_tools(
    p_version integer,
    p_plan_keys text[],
    p_usage jsonb,
    out value numeric,
    out warnings jsonb,
    out error jsonb
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_others numeric := (p_usage -> 'unnamed_calls')::numeric;
    v_unpriced jsonb := case when v_others > 0 then '[null]'::jsonb else '[]'::jsonb end;
    v_rate ducto.credit_rates;
    v_tool text;
    v_count jsonb;
    v_run record;
begin
    value := 0;
    warnings := '[]';
    for v_tool, v_count in
        select e.key, e.value from jsonb_each(p_usage -> 'calls') e order by e.key collate "C"
    loop
        v_rate := case when v_tool <> '_default' then
            ducto.find_rate(p_version, p_plan_keys, 'tools', v_tool) end;
        if v_rate.key is null then
            v_others := v_others + v_count::numeric;
            v_unpriced := v_unpriced || to_jsonb(v_tool);
            continue;
        end if;
        v_run := ducto.run_program(
            v_rate.code, v_rate.constants, v_rate.names,
            p_usage -> 'numbers' || jsonb_build_object('tool_calls', v_count)
        );
        if v_run.error is not null then
            error := ducto.evaluation_error('tools', v_tool, v_run.error);
            return;
        end if;
        value := value + v_run.value;
    end loop;
    if v_others > 0 then
        v_rate := ducto.find_rate(p_version, p_plan_keys, 'tools', '_default');
        if v_rate.key is null then
            warnings := (
                select jsonb_agg(jsonb_build_object('code', 'unpriced_tool', 'tool', t.tool))
                from jsonb_array_elements(v_unpriced) t(tool)
            );
            return;
        end if;
        v_run := ducto.run_program(
            v_rate.code, v_rate.constants, v_rate.names,
            p_usage -> 'numbers' || jsonb_build_object('tool_calls', v_others)
        );
        value := value + v_run.value;
        error := case when v_run.error is not null then
            ducto.evaluation_error('tools', '_default', v_run.error) end;
    end if;
end
$$;
comment on function ducto.price_tools(integer, text[], jsonb) is
    'The price of the tool calls of a usage, and warnings about calls without a price.';

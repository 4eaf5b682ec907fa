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
set search_path = ''
as $$
declare
    v_others numeric := (p_usage -> 'unnamed_calls')::numeric;
    v_unpriced jsonb := case when v_others > 0 then '[null]'::jsonb else '[]'::jsonb end;
    v_call record;
    v_run record;
begin
    value := 0;
    warnings := '[]';
    for v_call in
        select c.key as tool, c.value as count, r.code, r.constants, r.names
        from jsonb_each(p_usage -> 'calls') c
        left join lateral (
            select t.code, t.constants, t.names
            from ducto.credit_rates t
            where t.version = p_version and t.plan_key = any (p_plan_keys)
                and t.section = 'tools' and t.key = c.key and t.key <> '_default'
            order by t.plan_key desc
            limit 1
        ) r on true
        order by c.key collate "C"
    loop
        if v_call.code is null then
            v_others := v_others + v_call.count::numeric;
            v_unpriced := v_unpriced || to_jsonb(v_call.tool);
            continue;
        end if;
        v_run := ducto.run_program(
            v_call.code, v_call.constants, v_call.names,
            p_usage -> 'numbers' || jsonb_build_object('tool_calls', v_call.count)
        );
        if v_run.error is not null then
            error := ducto.evaluation_error('tools', v_call.tool, v_run.error);
            return;
        end if;
        value := value + v_run.value;
    end loop;
    if v_others > 0 then
        select r.code, r.constants, r.names into v_call
        from ducto.credit_rates r
        where r.version = p_version and r.plan_key = any (p_plan_keys) and r.section = 'tools'
            and r.key = '_default'
        order by r.plan_key desc
        limit 1;
        if not found then
            warnings := (
                select jsonb_agg(jsonb_build_object('code', 'unpriced_tool', 'tool', t.tool))
                from jsonb_array_elements(v_unpriced) t(tool)
            );
            return;
        end if;
        v_run := ducto.run_program(
            v_call.code, v_call.constants, v_call.names,
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

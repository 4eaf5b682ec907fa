-- The portable evaluator: prices a usage with stored programs, without PL/Python. What is common
-- (whole numbers, a model with a price of its own) takes the shortest way: two index probes, one
-- run of the machine. A refusal is the one the other evaluator returns for the same usage.
create or replace function ducto.price_portable(
    p_version integer,
    p_plan_key text,
    p_metrics jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_pricing record;
    v_plan_keys text[];
    v_model text;
    v_numbers jsonb;
    v_usage jsonb;
    v_rate record;
    v_job ducto.credit_rates;
    v_run record;
    v_total numeric := 0::numeric;
    v_others record;
    v_breakdown text;
    v_warnings text := '[]';
begin
    select c.scale, c.rounding, c.metric_names, c.summed_sections, c.override_plans
    into v_pricing
    from ducto.credit_pricing_config c where c.version = p_version;
    if not found then
        return jsonb_build_object(
            'code', 'DU020', 'detail', jsonb_build_object('version', p_version)
        );
    end if;
    v_plan_keys := case when p_plan_key = any (v_pricing.override_plans)
        then array[p_plan_key, ''] else '{""}' end;
    if jsonb_typeof(p_metrics -> 'model') = 'string' then
        v_model := p_metrics ->> 'model';
        v_numbers := p_metrics - '{model}'::text[];
    end if;
    if v_numbers is null or length(v_model) not between 1 and 200
        or v_numbers - v_pricing.metric_names <> '{}'
        or v_numbers ? 'tool_calls' or v_numbers::text like '%.%'
        or v_numbers @? 'strict $.* ? (!(@ >= 0 && @ <= 100000000000000000000000000)
            || (@ >= 0) is unknown)'
        or cardinality(v_pricing.metric_names) > 60
    then
        v_usage := ducto.read_usage(p_metrics, v_pricing.metric_names);
        if v_usage ? 'code' then
            return v_usage;
        end if;
        v_numbers := v_usage -> 'numbers';
    end if;
    select r.key, r.code, r.constants, r.names into v_rate
    from ducto.credit_rates r
    where r.version = p_version and r.plan_key = v_plan_keys[1] and r.section = 'models'
        and r.key = v_model;
    if not found then
        v_rate := ducto.find_rate(p_version, v_plan_keys, 'models', v_model, true);
    end if;
    if v_rate.code is null and (v_model is not null or ducto.needs_model(v_usage)) then
        return ducto.model_error(p_version, v_model);
    elsif v_usage -> 'job_name' <> 'null' then
        v_job := ducto.find_rate(p_version, v_plan_keys, 'fixed', v_usage ->> 'job_name', false);
        if v_job.version is null then
            return ducto.job_error(p_version, v_plan_keys, v_usage ->> 'job_name');
        end if;
    end if;
    -- Sums of one to three products of a metric and a constant, which is what most models cost,
    -- need no machine: nothing in them is negative, so only the sum can be too large.
    v_total := case v_rate.code
        when '{2,1,1,1,5,0}' then
            coalesce((v_numbers -> v_rate.names[1])::numeric, 0) * v_rate.constants[1]
        when '{2,1,1,1,5,0,2,2,1,2,5,0,3,0}' then
            coalesce((v_numbers -> v_rate.names[1])::numeric, 0) * v_rate.constants[1]
            + coalesce((v_numbers -> v_rate.names[2])::numeric, 0) * v_rate.constants[2]
        when '{2,1,1,1,5,0,2,2,1,2,5,0,3,0,2,3,1,3,5,0,3,0}' then
            coalesce((v_numbers -> v_rate.names[1])::numeric, 0) * v_rate.constants[1]
            + coalesce((v_numbers -> v_rate.names[2])::numeric, 0) * v_rate.constants[2]
            + coalesce((v_numbers -> v_rate.names[3])::numeric, 0) * v_rate.constants[3]
        end;
    if v_total is null or v_total > 1e26 then
        v_run := ducto.run_program(v_rate.code, v_rate.constants, v_rate.names, v_numbers);
        if v_run.error is not null then
            return ducto.evaluation_error('models', v_rate.key, v_run.error);
        end if;
        v_total := v_run.value;
    end if;
    v_breakdown := concat('{"model":', trim_scale(v_total));
    if v_usage is null and v_pricing.summed_sections = '{}' then
        v_breakdown := v_breakdown || ',"tools":0,"search":0,"cache":0,"fixed":0,"total":';
    else
        v_others := ducto.price_others(
            p_version, v_plan_keys, v_pricing.summed_sections,
            coalesce(v_usage, jsonb_build_object('numbers', v_numbers)), v_job
        );
        if v_others.error is not null then
            return v_others.error;
        end if;
        v_total := v_total + v_others.total;
        v_breakdown := v_breakdown || v_others.parts;
        v_warnings := v_others.warnings::text;
    end if;
    v_total := case when v_total <= 0 then 0
        when v_pricing.rounding = 'half_up' then round(v_total, v_pricing.scale)
        else ducto.round_total(v_total, v_pricing.scale, v_pricing.rounding) end;
    if v_total >= 1e26 then
        return ducto.evaluation_error('total', 'total', 'overflow');
    end if;
    return concat(
        '{"cost":', trim_scale(v_total),
        ',"model":', coalesce(p_metrics -> 'model', 'null'),
        ',"breakdown":', v_breakdown, trim_scale(v_total),
        '},"warnings":', v_warnings, '}'
    )::jsonb;
end
$$;
comment on function ducto.price_portable(integer, text, jsonb) is
    'ducto.price_usage by the portable evaluator: the programs of the version, run in PL/pgSQL.';

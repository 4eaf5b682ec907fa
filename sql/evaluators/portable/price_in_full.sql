-- Prices any usage with stored programs: overrides, prefixes, tools, search, cache, jobs. A refusal
-- is the one the other evaluator returns for the same usage.
create or replace function ducto.price_in_full(
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
    v_rate ducto.credit_rates;
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
    -- Whole numbers and a model can be checked all at once, anything else one by one.
    if jsonb_typeof(p_metrics -> 'model') = 'string' then
        v_model := p_metrics ->> 'model';
        v_numbers := p_metrics - 'model'::text;
    end if;
    if v_numbers is null or length(v_model) not between 1 and 200
        or v_numbers ? 'tool_calls' or v_numbers::text like '%.%'
        or v_numbers - v_pricing.metric_names <> '{}' or cardinality(v_pricing.metric_names) > 60
        or v_numbers @? 'strict $.* ? (@.type() != "number" || @ < 0
            || @ > 100000000000000000000000000)'
    then
        v_usage := ducto.read_usage(p_metrics, v_pricing.metric_names);
        if v_usage ? 'code' then
            return v_usage;
        end if;
        v_model := v_usage ->> 'model';
        v_numbers := v_usage -> 'numbers';
    end if;
    v_rate := ducto.find_rate(p_version, v_plan_keys, 'models', v_model, true);
    if v_rate.version is null and (v_model is not null or ducto.needs_model(v_usage)) then
        return ducto.model_error(p_version, v_model);
    elsif v_usage -> 'job_name' <> 'null' then
        v_job := ducto.find_rate(p_version, v_plan_keys, 'fixed', v_usage ->> 'job_name', false);
        if v_job.version is null then
            return ducto.job_error(p_version, v_plan_keys, v_usage ->> 'job_name');
        end if;
    end if;
    if v_rate.version is not null then
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
        v_breakdown := v_breakdown || v_others.parts;
        v_total := v_total + v_others.total;
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
comment on function ducto.price_in_full(integer, text, jsonb) is
    'ducto.price_usage by the portable evaluator, for usages of any kind.';

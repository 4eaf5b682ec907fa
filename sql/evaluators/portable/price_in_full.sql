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
set search_path = pg_catalog, pg_temp
as $$
declare
    v_pricing record;
    v_plan_keys text[];
    v_usage jsonb;
    v_model record;
    v_job ducto.credit_rates;
    v_others record;
    v_parts text := ',"tools":0,"search":0,"cache":0,"fixed":0,"total":';
    v_warnings text := '[]';
    v_total numeric;
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
    v_usage := ducto.read_usage(p_metrics, v_pricing.metric_names);
    if v_usage ? 'code' then
        return v_usage;
    end if;
    v_model := ducto.price_model(p_version, v_plan_keys, v_usage);
    if v_usage ->> 'job_name' is not null then
        v_job := ducto.find_rate(p_version, v_plan_keys, 'fixed', v_usage ->> 'job_name');
    end if;
    if v_job.key is null and v_usage ->> 'job_name' is not null
        and (v_model.error is null or v_model.error ->> 'code' <> 'DU004')
    then
        return ducto.job_error(p_version, v_plan_keys, v_usage ->> 'job_name');
    elsif v_model.error is not null then
        return v_model.error;
    end if;
    v_total := v_model.value;
    if v_job.key is not null or v_pricing.summed_sections <> '{}'
        or v_usage -> 'numbers' ? 'tool_calls'
    then
        v_others := ducto.price_others(
            p_version, v_plan_keys, v_pricing.summed_sections, v_usage, v_job
        );
        if v_others.error is not null then
            return v_others.error;
        end if;
        v_total := v_total + v_others.total;
        v_parts := v_others.parts;
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
        ',"breakdown":{"model":', trim_scale(v_model.value), v_parts, trim_scale(v_total),
        '},"warnings":', v_warnings, '}'
    )::jsonb;
end
$$;
comment on function ducto.price_in_full(integer, text, jsonb) is
    'ducto.price_usage by the portable evaluator, for usages of any kind.';

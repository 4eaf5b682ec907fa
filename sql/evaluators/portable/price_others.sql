-- The parts of a price besides the model's: tools, search, cache and the fixed cost of a job.
-- Stops at the first part that has no price. `parts` is their JSON, between model's and total's.
create or replace function ducto.price_others(
    p_version integer,
    p_plan_keys text[],
    p_sections text[],
    p_usage jsonb,
    p_job ducto.credit_rates,
    out total numeric,
    out parts text,
    out warnings jsonb,
    out error jsonb
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_tools numeric := 0::numeric;
    v_search numeric := 0::numeric;
    v_cache numeric := 0::numeric;
    v_fixed numeric := 0::numeric;
    v_part record;
begin
    warnings := '[]';
    if p_usage -> 'unnamed_calls' > '0' or p_usage -> 'calls' <> '{}' then
        v_part := ducto.price_tools(p_version, p_plan_keys, p_usage);
        v_tools := v_part.value;
        warnings := v_part.warnings;
        error := v_part.error;
    end if;
    if error is null and 'search' = any (p_sections) then
        v_part := ducto.sum_section(p_version, p_plan_keys, 'search', p_usage -> 'numbers');
        v_search := v_part.value;
        error := v_part.error;
    end if;
    if error is null and 'cache' = any (p_sections) then
        v_part := ducto.sum_section(p_version, p_plan_keys, 'cache', p_usage -> 'numbers');
        v_cache := v_part.value;
        error := v_part.error;
    end if;
    if error is null and p_job.key is not null then
        v_part := ducto.run_program(
            p_job.code, p_job.constants, p_job.names, p_usage -> 'numbers'
        );
        v_fixed := v_part.value;
        if v_part.error is not null then
            error := ducto.evaluation_error('fixed', p_job.key, v_part.error);
        end if;
    end if;
    total := v_tools + v_search + v_cache + v_fixed;
    parts := format(
        ',"tools":%s,"search":%s,"cache":%s,"fixed":%s,"total":',
        trim_scale(v_tools), trim_scale(v_search), trim_scale(v_cache), trim_scale(v_fixed)
    );
end
$$;
comment on function ducto.price_others(integer, text[], text[], jsonb, ducto.credit_rates) is
    'Prices everything but the model: their total, parts, warnings, or the error of one of them.';

-- The model's part of a price. A usage that names no model is priced by _default, or costs nothing
-- here where it does not need a model. A job without a model costs its own price only.
create or replace function ducto.price_model(
    p_version integer,
    p_plan_keys text[],
    p_usage jsonb,
    out value numeric,
    out error jsonb
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rate record;
    v_run record;
begin
    if p_usage ->> 'model' is null and p_usage ->> 'job_name' is not null then
        value := 0::numeric;
        return;
    end if;
    select r.key, r.code, r.constants, r.names into v_rate
    from ducto.credit_rates r
    where r.version = p_version and r.plan_key = p_plan_keys[1] and r.section = 'models'
        and r.key = coalesce(p_usage ->> 'model', '_default');
    if not found then
        v_rate := ducto.find_model(p_version, p_plan_keys, p_usage ->> 'model');
    end if;
    if v_rate.key is not null then
        v_run := ducto.run_program(
            v_rate.code, v_rate.constants, v_rate.names, p_usage -> 'numbers'
        );
        value := v_run.value;
        if v_run.error is not null then
            error := ducto.evaluation_error('models', v_rate.key, v_run.error);
        end if;
    elsif p_usage ->> 'model' is null and not ducto.needs_model(p_usage) then
        value := 0::numeric;
    else
        error := ducto.model_error(p_version, p_usage ->> 'model');
    end if;
end
$$;
comment on function ducto.price_model(integer, text[], jsonb) is
    'What a usage costs for its model, or the error.';

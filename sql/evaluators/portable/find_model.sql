-- The rate that prices a model, the plan's rates before the base's: in each the longest key that
-- the model's name starts with (or is), then _default. The cost does not grow with their number.
create or replace function ducto.find_model(p_version integer, p_plan_keys text[], p_model text)
returns ducto.credit_rates
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_plan_key text;
    v_rate ducto.credit_rates;
begin
    foreach v_plan_key in array p_plan_keys loop
        if p_model is not null then
            v_rate := ducto.longest_prefix(p_version, v_plan_key, 'models', p_model);
            exit when v_rate.key is not null;
        end if;
        select r.* into v_rate
        from ducto.credit_rates r
        where r.version = p_version and r.plan_key = v_plan_key and r.section = 'models'
            and r.key = '_default';
        exit when found;
    end loop;
    return v_rate;
end
$$;
comment on function ducto.find_model(integer, text[], text) is
    'The rate of a model, null for a usage that names none; else a null row.';

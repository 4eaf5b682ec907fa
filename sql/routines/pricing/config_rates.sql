-- The expressions of a config in the order in which they are checked: the base's, then the plans'
-- overrides. Each with its path, its plan (empty: the base), section and key, and what is wrong
-- with it before it is compiled.
create or replace function ducto.config_rates(p_config jsonb)
returns table (
    path text, plan_key text, section text, key text, expression text, problem text
)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_section text;
begin
    foreach v_section in array '{models,tools,search,cache,fixed}'::text[] loop
        if p_config ? v_section then
            return query select r.* from ducto.section_rates(
                v_section, '', v_section, p_config -> v_section
            ) r;
        end if;
    end loop;
    return query
        select r.* from ducto.config_plans(p_config) p
        cross join lateral ducto.plan_rates(
            p.path || '.rate_overrides', coalesce(p.plan_key, ''), p.plan -> 'rate_overrides'
        ) r
        where jsonb_typeof(p.plan) = 'object';
end
$$;
comment on function ducto.config_rates(jsonb) is
    'Every expression of a pricing config with its path and the plan, section and key it is under.';

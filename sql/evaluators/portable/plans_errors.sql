-- What is wrong with the plans of a config: of each plan its settings, then its rate overrides.
create or replace function ducto.plans_errors(p_config jsonb, p_outcomes jsonb)
returns table (path text, message text, name text, known text[], refusal jsonb)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_plan record;
begin
    message := case
        when jsonb_typeof(p_config -> 'plans') not in ('array', 'object')
            then '''plans'' must be a list of plans, or an object of plans by id'
        when (select count(*) > 1000 from ducto.config_plans(p_config)) then 'more than 1000 plans'
        end;
    if message is not null then
        path := 'plans';
        return next;
        return;
    end if;
    for v_plan in
        select p.path, p.plan, coalesce(p.plan_key, '') as plan_key,
            case when jsonb_typeof(p_config -> 'plans') = 'array' then p.plan -> 'id'
                else to_jsonb(p.plan_key) end as key,
            row_number() over (
                partition by jsonb_typeof(p.plan) = 'object', p.plan_key order by p.place
            ) > 1 as taken,
            lag(p.path) over (
                partition by jsonb_typeof(p.plan) = 'object' and p.plan -> 'default' = 'true'
                order by p.place
            ) as default_before
        from ducto.config_plans(p_config) p
        order by p.place
    loop
        return query
            select e.*, null::jsonb from ducto.plan_errors(
                v_plan.path, v_plan.key, v_plan.plan, v_plan.taken, v_plan.default_before
            ) e;
        continue when jsonb_typeof(v_plan.plan) <> 'object';
        return query
            select r.path, r.problem, null::text, null::text[], ducto.rate_refusal(
                r.plan_key, r.section, r.key, r.expression, p_outcomes
            )
            from ducto.plan_rates(
                v_plan.path || '.rate_overrides', v_plan.plan_key, v_plan.plan -> 'rate_overrides'
            ) r
            where r.problem is not null or p_outcomes -> r.expression ? 'refusal';
    end loop;
end
$$;
comment on function ducto.plans_errors(jsonb, jsonb) is
    'What is wrong with the plans of a pricing config: rows as those of ducto.config_errors.';

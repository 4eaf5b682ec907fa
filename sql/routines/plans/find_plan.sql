-- A plan of the active pricing by its key; raises DU014 with the nearest name. Null: no plan.
create or replace function ducto.find_plan(p_plan_key text)
returns ducto.credit_plans
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_plan ducto.credit_plans;
begin
    if p_plan_key is null then
        return null;
    end if;
    select p.* into v_plan
    from ducto.credit_pricing_config c
    join ducto.credit_plans p on p.version = c.version
    where c.active and p.plan_key = p_plan_key;
    if not found then
        perform ducto.raise_error('DU014', jsonb_build_object(
            'plan_key', p_plan_key,
            'nearest', ducto.nearest(p_plan_key, array(
                select p.plan_key from ducto.credit_pricing_config c
                join ducto.credit_plans p on p.version = c.version
                where c.active order by p.position
            ))
        ));
    end if;
    return v_plan;
end
$$;

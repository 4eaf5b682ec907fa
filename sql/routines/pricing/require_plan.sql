-- Raises DU014 unless the plan is one of the version's; null and '' name none.
create or replace function ducto.require_plan(p_version integer, p_plan_key text)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_plan_key is null or p_plan_key = '' or exists (
        select from ducto.credit_plans p
        where p.version = p_version and p.plan_key = p_plan_key
    ) then
        return;
    end if;
    if not exists (select from ducto.credit_pricing_config c where c.version = p_version) then
        perform ducto.raise_error('DU020', jsonb_build_object('version', p_version));
    end if;
    perform ducto.raise_error('DU014', jsonb_build_object(
        'plan_key', ducto.shorten(p_plan_key, 200),
        'message', format(
            'There is no plan %s in this pricing.', ducto.shorten(p_plan_key, 200)
        ),
        'nearest', ducto.nearest(p_plan_key, array(
            select p.plan_key::text from ducto.credit_plans p
            where p.version = p_version order by p.position
        ))
    ));
end
$$;
comment on function ducto.require_plan(integer, text) is
    'Raises DU014 unless a version has the plan.';

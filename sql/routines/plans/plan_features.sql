-- The features of a plan; {} for no plan.
create or replace function ducto.plan_features(p_version integer, p_plan_key text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((
        select p.features from ducto.credit_plans p
        where p.version = p_version and p.plan_key = p_plan_key
    ), '{}');
end
$$;

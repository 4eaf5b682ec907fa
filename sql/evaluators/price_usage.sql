-- The seam: prices a usage with the evaluator chosen when the database was migrated, whose body
-- the migration then puts in the place of this one.
create or replace function ducto.price_usage(
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
begin
    return ducto.price_{{evaluator}}(p_version, p_plan_key, p_metrics);
end
$$;
comment on function ducto.price_usage(integer, text, jsonb) is
    'The price of a usage under a pricing version and a plan (null or empty: none): '
    '{cost, model, breakdown, warnings}, or {code, detail} when it has none. Never raises for what '
    'is wrong with the metrics; callers raise.';

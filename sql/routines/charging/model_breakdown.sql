-- The breakdown of a price that is the model's alone: exact, and as charged.
create or replace function ducto.model_breakdown(p_exact numeric, p_cost numeric)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object(
        'model', trim_scale(p_exact), 'tools', 0, 'search', 0, 'cache', 0, 'fixed', 0,
        'total', trim_scale(p_cost)
    );
end
$$;

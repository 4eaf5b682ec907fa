-- The breakdown that a ledger row does not store: all of the cost is the model's, or the job's
-- where no model was named; an amount charged without usage has no parts.
create or replace function ducto.plain_breakdown(p_metrics jsonb, p_cost numeric)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job boolean := p_metrics ? 'job_name' and not p_metrics ? 'model';
begin
    return jsonb_build_object(
        'model', case when p_metrics is null or v_job then 0 else trim_scale(p_cost) end,
        'fixed', case when v_job then trim_scale(p_cost) else 0 end,
        'tools', 0, 'search', 0, 'cache', 0,
        'total', trim_scale(p_cost)
    );
end
$$;

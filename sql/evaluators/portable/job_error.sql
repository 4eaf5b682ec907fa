-- How an evaluator refuses a job that has no fixed price.
create or replace function ducto.job_error(p_version integer, p_plan_keys text[], p_job text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object(
        'code', 'DU018',
        'detail', jsonb_build_object(
            'job_name', p_job,
            'version', p_version,
            'nearest', ducto.nearest(p_job, array(
                select distinct r.key
                from ducto.credit_rates r
                where r.version = p_version and r.plan_key in (p_plan_keys[1], '')
                    and r.section = 'fixed'
                order by r.key
            ))
        )
    );
end
$$;
comment on function ducto.job_error(integer, text[], text) is
    'The error of a job that has no fixed price, with the nearest one that has.';

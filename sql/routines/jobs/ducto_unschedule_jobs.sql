-- As its caller, whose jobs they are.
create or replace function public.ducto_unschedule_jobs()
returns table (job text)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id bigint;
begin
    -- A function of two texts, planted beside it, would be preferred for an untyped literal.
    perform from public.ducto_list_jobs('{}'::jsonb, true);
    for job, v_id in
        select l.job, j.jobid
        from public.ducto_list_jobs() l
        join cron.job j on j.jobname = l.job
            and j.username = current_user and j.database = current_database()
        order by l.job
    loop
        perform cron.unschedule(v_id);
        return next;
    end loop;
end
$$;
comment on function public.ducto_unschedule_jobs() is
    'Removes the jobs that the caller has registered with pg_cron, and says which. Errors: DU024. '
    'Callers: admin. Idempotent.';

-- As its caller, not as its owner: pg_cron runs a job as the role that scheduled it, and the owner
-- of everything here cannot log in.
create or replace function public.ducto_schedule_jobs(p_schedules jsonb default '{}')
returns table (job text, schedule text, command text, active boolean)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wanted record;
    v_there record;
begin
    for v_wanted in select * from public.ducto_list_jobs(p_schedules, true) loop
        select j.schedule, j.command, j.active into v_there
        from cron.job j
        where j.jobname = v_wanted.job
            and j.username = current_user and j.database = current_database();
        job := v_wanted.job;
        command := v_wanted.command;
        active := coalesce(v_there.active, true);
        -- What an administrator has changed stays, unless this call changes it.
        schedule := case when p_schedules ? job or v_there.schedule is null
            then v_wanted.schedule else v_there.schedule end;
        if (schedule, command) is distinct from (v_there.schedule, v_there.command) then
            perform cron.schedule(job, schedule, command);
        end if;
        return next;
    end loop;
end
$$;
comment on function public.ducto_schedule_jobs(jsonb) is
    'Registers the jobs of ducto_list_jobs with pg_cron, to run as the role that calls this, which '
    'needs usage of the schema cron. p_schedules: schedules of five fields, by job; jobs that are '
    'registered already keep theirs otherwise. Without pg_cron: `ducto jobs run`. Errors: DU017, '
    'DU024. Callers: admin. Idempotent.';

create or replace function public.ducto_list_jobs(
    p_schedules jsonb default '{}',
    p_needs_pg_cron boolean default false
)
returns table (job text, schedule text, function text, command text, purpose text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job text;
    v_schedule text;
    v_problem text;
begin
    if p_needs_pg_cron and not exists (
        select from pg_extension e where e.extname = 'pg_cron'
    ) then
        perform ducto.raise_error('DU024', jsonb_build_object('database', current_database()));
    end if;
    if jsonb_typeof(p_schedules) is distinct from 'object' then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_schedules', 'Schedules are an object such as {"ducto-sweep": "*/10 * * * *"}.'
        ));
    end if;
    for v_job, v_schedule in select s.key, s.value from jsonb_each_text(p_schedules) s loop
        v_problem := ducto.schedule_problem(v_schedule);
        if not exists (select from ducto.jobs() j where j.job = v_job) then
            v_problem := format('There is no job %s.', v_job);
        end if;
        if v_problem is not null then
            perform ducto.raise_error('DU017', ducto.invalid('p_schedules', v_problem));
        end if;
    end loop;
    return query
    select
        j.job, coalesce(p_schedules ->> j.job, j.schedule), j.function,
        'select count(*) from public.' || j.function || '()', j.purpose
    from ducto.jobs() j;
end
$$;
comment on function public.ducto_list_jobs(jsonb, boolean) is
    'The jobs that keep things tidy, each with its schedule (in UTC) and the function it calls. '
    'p_schedules: other schedules, by job, of five fields; p_needs_pg_cron: an error where it is '
    'missing. Errors: DU017, DU024. Callers: service, admin, reader.';

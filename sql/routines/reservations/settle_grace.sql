-- How long after its deadline a hold may still be settled: settings.settle_grace_seconds, else 0.
create or replace function ducto.settle_grace()
returns interval
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((
        select make_interval(secs => s.value::numeric::double precision) from ducto.settings s
        where s.key = 'settle_grace_seconds'
    ), interval '0');
end
$$;

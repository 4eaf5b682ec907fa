create or replace function public.ducto_version()
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'version', (select s.value from ducto.settings s where s.key = 'version'),
        'evaluator', (select s.value from ducto.settings s where s.key = 'evaluator'),
        'pricing_version', (select c.version from ducto.credit_pricing_config c where c.active),
        'migration', (select max(m.version) from ducto.migrations m),
        'migrations', (
            select jsonb_agg(
                jsonb_build_object('version', m.version, 'name', m.name, 'sha256', m.sha256)
                order by m.version
            )
            from ducto.migrations m
        ),
        'postgresql', current_setting('server_version')
    );
$$;
comment on function public.ducto_version() is
    'The installed version, the evaluator in use, the active pricing version (null: none), the '
    'newest migration, all of them, and the server''s version. Callers: service, admin, reader.';

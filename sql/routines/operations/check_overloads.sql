-- Beside the API nothing bears its names: a function planted there, such as one of two texts, would
-- be preferred by calls with untyped literals.
create or replace function ducto.check_overloads()
returns table (check_name text, user_id text, detail jsonb)
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select 'overload', null, jsonb_build_object(
        'routine', p.oid::regprocedure::text, 'owner', pg_get_userbyid(p.proowner)
    )
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.nspname = 'ducto'
    where p.pronamespace = 'public'::regnamespace
        and starts_with(p.proname, 'ducto_')
        and (
            p.proowner <> n.nspowner
            or not exists (
                select from ducto.api_access a where a.routine = 'public.' || p.proname
            )
            or exists (
                select
                from pg_catalog.pg_proc o
                where o.pronamespace = p.pronamespace
                    and o.proname = p.proname
                    and o.proowner = p.proowner
                    and o.oid < p.oid
            )
        );
$$;

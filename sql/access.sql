-- Who may do what, applied last: nothing for anybody but the owner, then the list below.
-- Everything belongs to ducto_owner, which is no superuser and cannot log in; a role that is given
-- ducto_reader, ducto_service or ducto_admin calls the API and never touches a table.

drop table if exists pg_temp.ducto_access;
create temporary table ducto_access (
    -- The least role that may call it: admin may what service may, service what reader may.
    -- For `self` it is a signed-in user, for the own account only.
    role text not null,
    routine text not null unique
) on commit drop;

insert into pg_temp.ducto_access (role, routine) values
    -- Reads and analytics.
    ('reader', 'public.ducto_version'),
    ('reader', 'public.ducto_get_balance'),
    ('reader', 'public.ducto_get_available'),
    ('reader', 'public.ducto_list_transactions'),
    ('reader', 'public.ducto_list_lots'),
    ('reader', 'public.ducto_explain'),
    ('reader', 'public.ducto_quote'),
    ('reader', 'public.ducto_get_user_plan'),
    ('reader', 'public.ducto_list_plans'),
    ('reader', 'public.ducto_check_feature'),
    ('reader', 'public.ducto_list_spend_caps'),
    ('reader', 'public.ducto_check_spend_cap'),
    ('reader', 'public.ducto_pricing_get'),
    ('reader', 'public.ducto_pricing_list'),
    ('reader', 'public.ducto_pricing_export'),
    ('reader', 'public.ducto_pricing_diff'),
    ('reader', 'public.ducto_pricing_validate'),
    ('reader', 'public.ducto_calculate'),
    ('reader', 'public.ducto_reprice'),
    -- Money moves, and what governs it per account.
    ('service', 'public.ducto_add_credits'),
    ('service', 'public.ducto_revoke_grant'),
    ('service', 'public.ducto_freeze_account'),
    ('service', 'public.ducto_unfreeze_account'),
    ('service', 'public.ducto_deduct'),
    ('service', 'public.ducto_deduct_fixed'),
    ('service', 'public.ducto_deduct_amount'),
    ('service', 'public.ducto_deduct_batch'),
    ('service', 'public.ducto_reserve'),
    ('service', 'public.ducto_settle'),
    ('service', 'public.ducto_release'),
    ('service', 'public.ducto_renew'),
    ('service', 'public.ducto_refund'),
    ('service', 'public.ducto_set_user_plan'),
    ('service', 'public.ducto_set_spend_cap'),
    ('service', 'public.ducto_remove_spend_cap'),
    ('service', 'public.ducto_sweep_expired_credits'),
    ('service', 'public.ducto_expire_reservations'),
    -- Pricing and operations.
    ('admin', 'public.ducto_pricing_set'),
    ('admin', 'public.ducto_pricing_activate'),
    ('admin', 'public.ducto_check');

do $$
declare
    v_routine text;
begin
    for v_routine in
        select p.oid::regprocedure::text
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'public'::regnamespace
            and p.proname like 'ducto\_%'
            and not exists (
                select
                from pg_temp.ducto_access as a
                where a.routine = 'public.' || p.proname
            )
    loop
        raise exception '% is on no access list', v_routine
            using hint = 'Say in sql/access.sql which role may call it.';
    end loop;
end
$$;

-- Roles belong to the whole cluster: another database's migration may be creating them right now.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['ducto_owner', 'ducto_reader', 'ducto_service', 'ducto_admin']
    loop
        continue when exists (select from pg_catalog.pg_roles as r where r.rolname = v_role);
        begin
            execute format('create role %I nologin', v_role);
        exception
            when duplicate_object or unique_violation then
                null;
            when insufficient_privilege then
                set local client_min_messages = notice;
                raise notice 'ducto: the role % was not created, because % may not create roles',
                    v_role, current_user;
                set local client_min_messages = warning;
        end;
    end loop;
end
$$;

-- Hand everything to ducto_owner. Where the installing role may not, it stays the owner itself.
do $$
declare
    v_object record;
    v_superuser constant boolean :=
        (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user);
begin
    if not exists (select from pg_catalog.pg_roles as r where r.rolname = 'ducto_owner') then
        return;
    end if;
    if not v_superuser then
        if not pg_has_role('ducto_owner', 'usage') then
            execute format('grant ducto_owner to %I', current_user);
        end if;
        -- Whoever is given an object must be allowed to create it there.
        grant create on schema ducto, public to ducto_owner;
    end if;
    for v_object in
        select
            case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end as kind,
            c.oid::regclass::text as name
        from pg_catalog.pg_class as c
        where c.relnamespace = 'ducto'::regnamespace
            and c.relkind in ('r', 'p', 'v', 'S')
            and c.relowner <> 'ducto_owner'::regrole
            and not exists (
                -- A sequence of a column goes with its table.
                select
                from pg_catalog.pg_depend as d
                where d.classid = 'pg_catalog.pg_class'::regclass
                    and d.objid = c.oid
                    and d.deptype in ('a', 'i')
            )
        union all
        select 'routine', p.oid::regprocedure::text
        from pg_catalog.pg_proc as p
        where p.proowner <> 'ducto_owner'::regrole
            and (
                p.pronamespace = 'ducto'::regnamespace
                or p.pronamespace = 'public'::regnamespace and p.proname like 'ducto\_%'
            )
        union all
        select 'type', t.oid::regtype::text
        from pg_catalog.pg_type as t
        left join pg_catalog.pg_class as c on c.oid = t.typrelid
        where t.typnamespace = 'ducto'::regnamespace
            and t.typowner <> 'ducto_owner'::regrole
            and (t.typtype in ('d', 'e') or c.relkind = 'c')
        union all
        select 'schema', n.nspname
        from pg_catalog.pg_namespace as n
        where n.nspname = 'ducto'
            and n.nspowner <> 'ducto_owner'::regrole
    loop
        execute format('alter %s %s owner to ducto_owner', v_object.kind, v_object.name);
    end loop;
    if not v_superuser then
        revoke create on schema public from ducto_owner;
    end if;
exception when insufficient_privilege then
    set local client_min_messages = notice;
    raise notice 'ducto: % owns the installation, because it may not give it to ducto_owner',
        current_user;
    set local client_min_messages = warning;
end
$$;

-- Row-level security on every table. Without a policy, only the owner sees rows.
do $$
declare
    v_table text;
begin
    for v_table in
        select c.oid::regclass::text
        from pg_catalog.pg_class as c
        where c.relnamespace = 'ducto'::regnamespace
            and c.relkind in ('r', 'p')
            and not c.relrowsecurity
    loop
        execute format('alter table %s enable row level security', v_table);
    end loop;
end
$$;

-- A signed-in user of Supabase would see own rows only, should a table ever be opened to them.
do $$
declare
    v_table record;
begin
    if not exists (select from pg_catalog.pg_roles as r where r.rolname = 'authenticated') then
        return;
    end if;
    for v_table in
        select c.oid, c.oid::regclass::text as name, t.user_column
        from (
            values
                ('credit_accounts', 'account_id'),
                ('credit_lots', 'account_id'),
                ('credit_transactions', 'account_id'),
                ('credit_reservations', 'account_id'),
                ('credit_spend_caps', 'account_id'),
                ('credit_events', 'account_id'),
                ('credit_usage_rollup', 'account_id'),
                ('credit_team_members', 'user_id')
        ) as t (name, user_column)
        join pg_catalog.pg_class as c
            on c.relname = t.name and c.relnamespace = 'ducto'::regnamespace
        where not exists (
            select
            from pg_catalog.pg_policy as p
            where p.polrelid = c.oid and p.polname = 'own_rows'
        )
    loop
        execute format(
            'create policy own_rows on %s for select to authenticated using (%I = '
            || '(nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb ->> ''sub''))',
            v_table.name, v_table.user_column
        );
    end loop;
end
$$;

-- Routines: take away whatever is not on the list, and grant what is.
do $$
declare
    v_change record;
begin
    for v_change in
        with allowed (role, grantee) as (
            values
                ('reader', 'ducto_reader'), ('reader', 'ducto_service'), ('reader', 'ducto_admin'),
                ('reader', 'service_role'),
                ('service', 'ducto_service'), ('service', 'ducto_admin'),
                ('service', 'service_role'),
                ('admin', 'ducto_admin'), ('admin', 'service_role'),
                ('self', 'authenticated')
        ), ours as (
            select p.oid, p.proacl, p.proowner, n.nspname || '.' || p.proname as name
            from pg_catalog.pg_proc as p
            join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
            where n.nspname = 'ducto' or n.nspname = 'public' and p.proname like 'ducto\_%'
        ), wanted as (
            select o.oid, r.oid as grantee
            from ours as o
            join pg_temp.ducto_access as a on a.routine = o.name
            join allowed as l on l.role = a.role
            join pg_catalog.pg_roles as r on r.rolname = l.grantee
        ), actual as (
            select o.oid, x.grantee
            from ours as o
            cross join lateral aclexplode(coalesce(o.proacl, acldefault('f', o.proowner))) as x
            where x.grantee <> o.proowner
        )
        select 'revoke all on routine %s from %s cascade' as command, c.oid, c.grantee
        from (select * from actual except select * from wanted) as c
        union all
        select 'grant execute on routine %s to %s', c.oid, c.grantee
        from (select * from wanted except select * from actual) as c
        order by 2, 3
    loop
        execute format(
            v_change.command,
            v_change.oid::regprocedure,
            case v_change.grantee when 0 then 'public' else v_change.grantee::regrole::text end
        );
    end loop;
end
$$;

-- Tables, views and the schema: the views may be read, nothing else touched.
do $$
declare
    v_change record;
    v_role text;
begin
    for v_change in
        select c.oid::regclass::text as name, x.grantee
        from pg_catalog.pg_class as c
        cross join lateral aclexplode(c.relacl) as x
        where c.relnamespace = 'ducto'::regnamespace
            and c.relkind in ('r', 'p', 'v', 'S')
            and x.grantee <> c.relowner
        group by c.oid, x.grantee
        having c.relkind <> 'v' or array_agg(x.privilege_type) <> array['SELECT']
            or coalesce(x.grantee::regrole::text, '') not in (
                'ducto_reader', 'ducto_service', 'ducto_admin', 'service_role'
            )
    loop
        execute format(
            'revoke all on %s from %s cascade',
            v_change.name,
            case v_change.grantee when 0 then 'public' else v_change.grantee::regrole::text end
        );
    end loop;
    for v_change in
        select x.grantee
        from pg_catalog.pg_namespace as n
        cross join lateral aclexplode(n.nspacl) as x
        where n.nspname = 'ducto'
            and x.grantee <> n.nspowner
            and (x.grantee = 0 or x.grantee::regrole::text not in (
                'ducto_reader', 'ducto_service', 'ducto_admin', 'service_role'
            ))
    loop
        execute format(
            'revoke all on schema ducto from %s cascade',
            case v_change.grantee when 0 then 'public' else v_change.grantee::regrole::text end
        );
    end loop;
    for v_role in
        select r.rolname
        from pg_catalog.pg_roles as r
        where r.rolname in ('ducto_reader', 'ducto_service', 'ducto_admin', 'service_role')
    loop
        execute format('grant usage on schema ducto to %I', v_role);
        for v_change in
            select c.oid::regclass::text as name
            from pg_catalog.pg_class as c
            where c.relnamespace = 'ducto'::regnamespace and c.relkind = 'v'
        loop
            execute format('grant select on %s to %I', v_change.name, v_role);
        end loop;
    end loop;
end
$$;

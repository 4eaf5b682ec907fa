-- Who may do what, applied last: nothing for anybody but the owner, then the list below.
-- Everything belongs to ducto_owner, which is no superuser and cannot log in; a role that is given
-- ducto_reader, ducto_service or ducto_admin calls the API and never touches a table.

delete from ducto.api_access;
-- The least role that may call it: admin may what service may, service what reader may.
-- For `self` it is a signed-in user, for the own account only.
insert into ducto.api_access (role, routine) values
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
    ('reader', 'public.ducto_get_team'),
    ('reader', 'public.ducto_list_teams'),
    ('reader', 'public.ducto_list_team_members'),
    ('reader', 'public.ducto_pricing_get'),
    ('reader', 'public.ducto_pricing_list'),
    ('reader', 'public.ducto_pricing_export'),
    ('reader', 'public.ducto_pricing_diff'),
    ('reader', 'public.ducto_pricing_validate'),
    ('reader', 'public.ducto_calculate'),
    ('reader', 'public.ducto_reprice'),
    ('reader', 'public.ducto_spend_by_user'),
    ('reader', 'public.ducto_spend_by_model'),
    ('reader', 'public.ducto_top_users'),
    ('reader', 'public.ducto_daily_spend'),
    ('reader', 'public.ducto_spend_report'),
    ('reader', 'public.ducto_aggregate_stats'),
    ('reader', 'public.ducto_list_usage_events'),
    ('reader', 'public.ducto_list_consumers'),
    ('reader', 'public.ducto_list_jobs'),
    -- Money moves, and what governs it per account.
    ('service', 'public.ducto_add_credits'),
    ('service', 'public.ducto_add_credits_batch'),
    ('service', 'public.ducto_revoke_grant'),
    ('service', 'public.ducto_freeze_account'),
    ('service', 'public.ducto_unfreeze_account'),
    ('service', 'public.ducto_deduct'),
    ('service', 'public.ducto_deduct_fixed'),
    ('service', 'public.ducto_deduct_amount'),
    ('service', 'public.ducto_deduct_batch'),
    ('service', 'public.ducto_deduct_team'),
    ('service', 'public.ducto_reserve'),
    ('service', 'public.ducto_settle'),
    ('service', 'public.ducto_release'),
    ('service', 'public.ducto_renew'),
    ('service', 'public.ducto_refund'),
    ('service', 'public.ducto_set_user_plan'),
    ('service', 'public.ducto_set_spend_cap'),
    ('service', 'public.ducto_remove_spend_cap'),
    ('service', 'public.ducto_create_team'),
    ('service', 'public.ducto_add_team_credits'),
    ('service', 'public.ducto_add_team_member'),
    ('service', 'public.ducto_update_team_member'),
    ('service', 'public.ducto_remove_team_member'),
    ('service', 'public.ducto_sweep_expired_credits'),
    ('service', 'public.ducto_expire_reservations'),
    ('service', 'public.ducto_rollup_usage'),
    -- The feed of events.
    ('service', 'public.ducto_create_consumer'),
    ('service', 'public.ducto_poll_events'),
    ('service', 'public.ducto_ack_events'),
    ('service', 'public.ducto_release_events'),
    ('service', 'public.ducto_fail_event'),
    ('service', 'public.ducto_list_dead_events'),
    ('service', 'public.ducto_retry_dead_events'),
    ('service', 'public.ducto_remove_consumer'),
    ('service', 'public.ducto_prune_events'),
    -- Pricing and operations.
    ('admin', 'public.ducto_pricing_set'),
    ('admin', 'public.ducto_pricing_activate'),
    ('admin', 'public.ducto_schedule_jobs'),
    ('admin', 'public.ducto_unschedule_jobs'),
    ('admin', 'public.ducto_check'),
    -- A signed-in user's own account.
    ('self', 'public.ducto_my_balance'),
    ('self', 'public.ducto_my_plan'),
    ('self', 'public.ducto_my_feature'),
    ('self', 'public.ducto_my_transactions'),
    ('self', 'public.ducto_my_usage'),
    ('self', 'public.ducto_my_quote');

do $$
declare
    v_routine text;
begin
    for v_routine in
        select p.oid::regprocedure::text
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'public'::regnamespace
            and p.proname like 'ducto\_%'
            and pg_get_userbyid(p.proowner) = current_user
            and not exists (
                select
                from ducto.api_access as a
                where a.routine = 'public.' || p.proname
            )
    loop
        raise exception '% is on no access list', v_routine
            using hint = 'Say in sql/access.sql which role may call it.';
    end loop;
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
                ('credit_usage_rollup', 'actor_id'),
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

-- Take away what is not on the list, whoever gave it, and grant what is. Nobody but the owner may
-- use the schema: what cannot be named, nothing of anybody's can come to depend on. Defaults that a
-- host has set for new objects open nothing either.
do $$
declare
    v_change record;
begin
    for v_change in
        with level (name, covers) as (
            values
                ('reader', array['reader']),
                ('service', array['reader', 'service']),
                ('admin', array['reader', 'service', 'admin']),
                ('self', array['self'])
        ), caller (name, level) as (
            select s.value || l.name, l.name
            from ducto.settings as s
            cross join level as l
            where s.key = 'role_prefix' and l.name <> 'self'
            union all
            values ('service_role', 'admin'), ('authenticated', 'self')
            union all
            select g.role_name, g.level from ducto.role_grants as g
        ), ours as (
            select p.oid, p.proacl, p.proowner, n.nspname || '.' || p.proname as name
            from pg_catalog.pg_proc as p
            join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
            where n.nspname = 'ducto'
                or n.nspname = 'public'
                    and p.proname like 'ducto\_%'
                    and pg_get_userbyid(p.proowner) = current_user
        ), wanted as (
            select o.oid, r.oid as grantee
            from ours as o
            join ducto.api_access as a on a.routine = o.name
            join level as l on a.role = any (l.covers)
            join caller as c on c.level = l.name
            join pg_catalog.pg_roles as r on r.rolname = c.name
            where r.oid <> o.proowner
        ), actual as (
            select o.oid, x.grantee
            from ours as o
            cross join lateral aclexplode(coalesce(o.proacl, acldefault('f', o.proowner))) as x
            where x.grantee <> o.proowner
        ), unwanted (class, object, grantee) as (
            select 'routine', c.oid::regprocedure::text, c.grantee
            from (select * from actual except select * from wanted) as c
            union
            select
                case c.relkind when 'S' then 'sequence' else 'table' end,
                c.oid::regclass::text,
                x.grantee
            from pg_catalog.pg_class as c
            left join pg_catalog.pg_attribute as a on a.attrelid = c.oid
            cross join lateral aclexplode(c.relacl || a.attacl) as x
            where c.relnamespace = 'ducto'::regnamespace
                and c.relkind in ('r', 'p', 'v', 'S')
                and x.grantee <> c.relowner
            union
            select 'type', t.oid::regtype::text, x.grantee
            from pg_catalog.pg_type as t
            left join pg_catalog.pg_class as c on c.oid = t.typrelid
            cross join lateral aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) as x
            where t.typnamespace = 'ducto'::regnamespace
                and (t.typtype in ('d', 'e') or c.relkind = 'c')
                and x.grantee <> t.typowner
            union
            select 'schema', n.nspname::text, x.grantee
            from pg_catalog.pg_namespace as n
            cross join lateral aclexplode(n.nspacl) as x
            where n.nspname = 'ducto' and x.grantee <> n.nspowner
        )
        select
            format(
                'revoke all on %s %s from %s cascade',
                u.class,
                u.object,
                case u.grantee when 0 then 'public' else u.grantee::regrole::text end
            ) as command,
            1 as step
        from unwanted as u
        union all
        select
            format('grant execute on routine %s to %s', c.oid::regprocedure, c.grantee::regrole),
            2
        from (select * from wanted except select * from actual) as c
        order by 2, 1
    loop
        execute v_change.command;
    end loop;
end
$$;

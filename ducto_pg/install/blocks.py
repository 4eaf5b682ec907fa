"""The SQL that is not a file of the tree: what an installation decides inside the database.

Each is a template of ``ducto_pg.install.script``; doubled braces are single ones in the database.
Nothing here relies on the session: names are qualified, the search path is pinned.
"""

from __future__ import annotations

SETTINGS = """\
set local search_path = pg_catalog, pg_temp;
set local check_function_bodies = off;
set local client_min_messages = warning;
set local statement_timeout = 0;
set local standard_conforming_strings = on;
set local row_security = on;
set local lock_timeout = '{turn_seconds}s';
"""

# Where the schema does not exist yet, creating it is what runs queue on; from then on the table of
# migrations is, which only the owner can lock. Nothing else is locked while waiting.
TURN = """
declare
    v_owner oid;
begin
    if current_setting('server_version_num')::integer < {minimum} then
        raise exception 'ducto-pg needs PostgreSQL 15 or newer; this server is version %',
            current_setting('server_version');
    end if;
    if getdatabaseencoding() = 'SQL_ASCII' then
        raise exception 'the encoding of this database is SQL_ASCII, which knows no characters'
            using hint = 'create database NAME encoding ''UTF8'' template template0;';
    end if;
    perform set_config('ducto.installer', current_user, true);
    if to_regnamespace('ducto') is null then
        begin
            create schema ducto;
        exception
            when duplicate_schema or unique_violation then
                null;
            when insufficient_privilege then
                raise exception '% may not create a schema in the database %',
                    current_user, current_database()
                    using hint = format(
                        'grant create on database %I to %I;', current_database(), current_user
                    );
        end;
    end if;
    select n.nspowner into v_owner from pg_catalog.pg_namespace as n where n.nspname = 'ducto';
    if not pg_has_role(v_owner, 'usage') then
        begin
            -- A member that does not inherit has to become the owner, if it may.
            execute format('set local role %I', pg_get_userbyid(v_owner));
        exception when insufficient_privilege then
            raise exception 'schema ducto belongs to %; migrate as % or a member of it',
                pg_get_userbyid(v_owner), pg_get_userbyid(v_owner);
        end;
    end if;
    if to_regclass('ducto.migrations') is null then
        begin
            create table ducto.migrations (
                version integer primary key,
                name text not null,
                sha256 text not null,
                applied_at timestamptz not null default now()
            );
            alter table ducto.migrations enable row level security;
            comment on table ducto.migrations is
                'The migrations applied to this database, with the sha256 of each file.';
            execute format(
                'alter table ducto.migrations owner to %I', pg_get_userbyid(v_owner)
            );
        exception
            when duplicate_table or unique_violation then
                null;
        end;
    end if;
    lock table ducto.migrations in share row exclusive mode;
    if to_regclass('ducto.settings') is not null then
        lock table ducto.settings in access share mode;
    end if;
    if exists ({foreign}) then
        raise exception '{refusal}';
    end if;
end
"""

# What the installer, who may be a superuser, reads before anything runs as the owner. Whoever made
# the schema may have put a view there, whose functions run as whoever looks at it.
FOREIGN = """
        select
        from pg_catalog.pg_class as c
        where c.relnamespace = 'ducto'::regnamespace
            and c.relname in ('migrations', 'settings')
            and (
                c.relkind <> 'r'
                or c.relhassubclass
                or exists (
                    select
                    from pg_catalog.pg_attribute as a
                    join pg_catalog.pg_type as t on t.oid = a.atttypid
                    where a.attrelid = c.oid
                        and t.typnamespace <> 'pg_catalog'::regnamespace
                )
            )
    """
FOREIGN_REFUSAL = (
    "the schema ducto holds what looks like the tables of ducto-pg and is not: somebody made it "
    "beforehand; see who owns it, and drop it"
)

NEWEST = """
declare
    v_newest integer;
begin
    select max(m.version) into v_newest from ducto.migrations as m;
    if v_newest > {newest} then
        raise exception 'this database has migration %, which ducto-pg {version} does not know',
            to_char(v_newest, 'FM0000')
            using hint = 'A newer release migrated it; upgrade ducto-pg here.';
    end if;
end
"""

# Who owns the installation is decided once; later runs leave it to whom it belongs. From here on
# everything runs as the owner: nobody's trigger or function runs as the superuser who migrates.
ROLES = """
declare
    v_asked_prefix constant text := {role_prefix};
    v_asked_roles constant text := {create_roles};
    v_installer constant text := current_user;
    v_first constant boolean := not exists (select from ducto.migrations as m);
    v_old_prefix text;
    v_prefix text;
    v_create boolean;
    v_owner text;
    v_owner_is_superuser boolean;
    v_heir text;
    v_missing text[] := '{{}}';
    v_role text;
    v_object record;
begin
    select r.rolname, r.rolsuper into v_owner, v_owner_is_superuser
    from pg_catalog.pg_namespace as n
    join pg_catalog.pg_roles as r on r.oid = n.nspowner
    where n.nspname = 'ducto';
    if not v_first then
        select s.value into v_old_prefix from ducto.settings as s where s.key = 'role_prefix';
        v_create := (select s.value = 'on' from ducto.settings as s where s.key = 'create_roles');
    end if;
    v_prefix := coalesce(v_asked_prefix, v_old_prefix, 'ducto_');
    v_create := coalesce(v_asked_roles = 'on', v_create, true);
    -- A schema that somebody was given beforehand is theirs; a superuser never owns one.
    if v_owner_is_superuser
        or v_first and v_owner = v_installer
        or v_prefix <> v_old_prefix and v_owner = v_old_prefix || 'owner'
    then
        v_heir := v_prefix || 'owner';
    end if;

    -- Roles belong to the whole cluster: another database's migration may be creating them now.
    foreach v_role in array array_remove(
        array[v_heir, v_prefix || 'reader', v_prefix || 'service', v_prefix || 'admin'], null
    )
    loop
        continue when not v_create
            or exists (select from pg_catalog.pg_roles as r where r.rolname = v_role);
        begin
            execute format('create role %I nologin', v_role);
        exception
            when duplicate_object or unique_violation then
                null;
            when insufficient_privilege then
                v_missing := v_missing || v_role;
        end;
    end loop;
    set local client_min_messages = notice;
    if v_missing <> '{{}}' then
        raise notice 'ducto: % may not create the roles %; say who may call with --grant',
            v_installer, array_to_string(v_missing, ', ');
    end if;

    if exists (select from pg_catalog.pg_roles as r where r.rolname = v_heir) then
        begin
            if not pg_has_role(v_heir, 'usage') then
                execute format('grant %I to %I', v_heir, v_installer);
            end if;
            -- Whoever is given an object must be allowed to create it there.
            if not has_schema_privilege(v_heir, 'public', 'create') then
                execute format('grant create on schema public to %I', v_heir);
            end if;
            execute format('alter schema ducto owner to %I', v_heir);
            for v_object in {objects}
            loop
                execute format('alter %s %s owner to %I', v_object.kind, v_object.name, v_heir);
            end loop;
            v_owner := v_heir;
            v_owner_is_superuser := false;
        exception when insufficient_privilege then
            raise notice 'ducto: % owns the installation, because it may not give it to %',
                v_owner, v_heir;
        end;
    end if;
    if v_owner_is_superuser then
        raise exception 'a superuser would own the installation, and every call run as one'
            using hint = format('create role %I nologin; or migrate as whoever shall own it.',
                v_heir);
    end if;
    set local client_min_messages = warning;

    if not has_schema_privilege(v_owner, 'public', 'create') then
        begin
            execute format('grant create on schema public to %I', v_owner);
        exception when insufficient_privilege then
            null;
        end;
        if not has_schema_privilege(v_owner, 'public', 'create') then
            raise exception '%, which owns ducto-pg, may not create functions in schema public',
                v_owner
                using hint = format('grant create on schema public to %I;', v_owner);
        end if;
    end if;
    if v_owner <> v_installer then
        execute format('set local role %I', v_owner);
    end if;
end
"""

# What belongs to the owner of the schema, so that it can be handed to another.
OWNED = """
                select
                    case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end
                        as kind,
                    c.oid::regclass::text as name
                from pg_catalog.pg_class as c
                where c.relnamespace = 'ducto'::regnamespace
                    and c.relkind in ('r', 'p', 'v', 'S')
                    -- A sequence of a column goes with its table.
                    and not exists (
                        select
                        from pg_catalog.pg_depend as d
                        where d.classid = 'pg_catalog.pg_class'::regclass
                            and d.objid = c.oid
                            and d.deptype in ('a', 'i')
                    )
                union all
                select 'routine', p.oid::regprocedure::text
                from pg_catalog.pg_proc as p
                where p.pronamespace = 'ducto'::regnamespace
                    or p.pronamespace = 'public'::regnamespace
                        and p.proname like 'ducto\\_%'
                        and pg_get_userbyid(p.proowner) = v_owner
                union all
                select 'type', t.oid::regtype::text
                from pg_catalog.pg_type as t
                left join pg_catalog.pg_class as c on c.oid = t.typrelid
                where t.typnamespace = 'ducto'::regnamespace
                    and (t.typtype in ('d', 'e') or c.relkind = 'c')"""

MIGRATION = """
declare
    v_sha256 text;
begin
    select m.sha256 into v_sha256 from ducto.migrations as m where m.version = {version};
    if not found then
        execute {text};
        insert into ducto.migrations (version, name, sha256)
        values ({version}, {name}, '{sha256}');
    elsif v_sha256 <> '{sha256}' then
        raise exception '{path} was edited after it had been applied to this database'
            using hint = 'Restore the file and put the change into a new migration.';
    end if;
end
"""

CATALOGUE = """\
with wanted (code, name, http_status, message, hint) as (values
    {rows}
), stale as (
    delete from ducto.error_catalogue as c
    where not exists (select from wanted as w where w.code = c.code)
)
insert into ducto.error_catalogue as c (code, name, http_status, message, hint)
select w.code, w.name, w.http_status, w.message, w.hint
from wanted as w
on conflict (code) do update
set name = excluded.name,
    http_status = excluded.http_status,
    message = excluded.message,
    hint = excluded.hint
where (c.name, c.http_status, c.message, c.hint)
    is distinct from (excluded.name, excluded.http_status, excluded.message, excluded.hint);
"""

# Declaring a trigger or a view locks its table until the transaction ends, so it is done only where
# the file or the object changed since: an upgrade then stops no charge for nothing.
GUARDED = """
declare
    v_declared constant text := {name};
    v_found text := (
        select {definition}
        from {catalog} as o
        where {condition}
    );
begin
    if exists (
        select
        from ducto.declarations as d
        where d.object = v_declared and d.sha256 = '{sha256}' and d.definition = v_found
    ) then
        return;
    end if;
    execute {text};
    select {definition} into v_found
    from {catalog} as o
    where {condition};
    insert into ducto.declarations as d (object, sha256, definition)
    values (v_declared, '{sha256}', v_found)
    on conflict (object) do update
    set sha256 = excluded.sha256, definition = excluded.definition;
end
"""

# Which evaluator a database has changes only when asked. A first run takes PL/Python where it can
# be had. An installer who may not create its functions leaves them alone, if they are this
# release's; the inner block is undone as a whole when the language is not to be had.
EVALUATOR_CHOICE = """
declare
    v_requested constant text := {requested};
    v_sha256 constant text := '{sha256}';
    v_owner constant text := current_user;
    v_installer constant text := current_setting('ducto.installer');
    v_superuser constant boolean :=
        (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = v_installer);
    v_installed constant text :=
        (select s.value from ducto.settings as s where s.key = 'evaluator');
    v_unchanged constant boolean := exists (
        select from ducto.settings as s where s.key = 'plpython_sha256' and s.value = v_sha256
    );
    v_evaluator text := v_requested;
    v_routine text;
begin
    if v_requested = 'auto' then
        v_evaluator := coalesce(v_installed, 'plpython');
    end if;
    if v_evaluator = 'plpython' and (v_superuser or not v_unchanged) then
        begin
            execute format('set local role %I', v_installer);
            create extension if not exists plpython3u;
            {creations}
            foreach v_routine in array {routines}
            loop
                execute format(
                    'alter function %s owner to %I', v_routine::regprocedure, v_owner
                );
            end loop;
            execute format('set local role %I', v_owner);
        exception
            when insufficient_privilege or undefined_file or undefined_object
                or feature_not_supported then
            if v_requested = 'plpython' then
                raise exception 'PL/Python cannot be used in this database: %', sqlerrm
                    using hint = 'Install plpython3u, or use the portable evaluator.';
            end if;
            if v_installed = 'plpython' then
                raise exception 'this release changes the functions in PL/Python, which % may not '
                    'create: %', v_installer, sqlerrm
                    using hint = 'Migrate as a superuser, or with --evaluator portable.';
            end if;
            set local client_min_messages = notice;
            raise notice 'ducto: portable evaluator, because PL/Python cannot be used here (%)',
                sqlerrm;
            set local client_min_messages = warning;
            v_evaluator := 'portable';
        end;
    end if;
{record}
end
"""

RECORD_EVALUATOR = """\
delete from ducto.settings as s where s.key = 'plpython_sha256' and {sha256} is null;
insert into ducto.settings as s (key, value)
select n.key, n.value
from (values ('evaluator', {evaluator}), ('plpython_sha256', {sha256})) as n (key, value)
where n.value is not null
on conflict (key) do update
set value = excluded.value
where s.value <> excluded.value;
"""

# The seam is first created as its file declares it, with its comment, and then given the body of
# the chosen evaluator: calling through a wrapper would cost every charge two percent. In PL/Python
# only a superuser can do it; for anybody else the evaluator's step has made sure that it is there.
PRICE_USAGE = """
declare
    v_evaluator constant text :=
        (select s.value from ducto.settings as s where s.key = 'evaluator');
    v_name constant text := 'ducto.price_' || v_evaluator || '(';
    v_owner constant text := current_user;
    v_installer constant text := current_setting('ducto.installer');
begin
    if v_evaluator = 'plpython' then
        if not (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = v_installer) then
            return;
        end if;
        execute format('set local role %I', v_installer);
    end if;
    execute replace({text}, '{{{{evaluator}}}}', v_evaluator);
    execute replace(
        pg_get_functiondef((v_name || 'integer,text,jsonb)')::regprocedure),
        v_name,
        'ducto.price_usage('
    );
    execute format('alter function ducto.price_usage(integer, text, jsonb) owner to %I', v_owner);
    execute format('set local role %I', v_owner);
end
"""

# Drops one of ours, unless something of somebody who may use it depends on it. Who may not can make
# a view depend on it all the same, by its number ('16432'::regprocedure): such a pin goes with it.
DROP = """
            begin
                execute format('drop %s %s', v_object.kind, v_object.name);
            exception when dependent_objects_still_exist then
                get stacked diagnostics v_dependent = pg_exception_detail;
                if exists (
                    select
                    from pg_catalog.pg_depend as d
                    -- What a rule, a default or a constraint is a part of.
                    left join pg_catalog.pg_depend as w
                        on w.classid = d.classid and w.objid = d.objid and w.deptype in ('a', 'i')
                    left join pg_catalog.pg_shdepend as o
                        on o.deptype = 'o'
                        and o.dbid = (
                            select b.oid from pg_catalog.pg_database as b
                            where b.datname = current_database()
                        )
                        and (o.classid, o.objid)
                            in ((d.classid, d.objid), (w.refclassid, w.refobjid))
                    where d.refclassid = v_object.catalog
                        and d.refobjid = v_object.oid
                        and d.deptype <> 'i'
                        and (w.refclassid = v_object.catalog and w.refobjid = v_object.oid)
                            is not true
                        and case
                            when o.refobjid is null then true
                            when v_object.is_api
                            then has_function_privilege(o.refobjid, v_object.oid, 'execute')
                            else has_schema_privilege(o.refobjid, 'ducto', 'usage')
                        end
                ) then
                    raise exception 'this release drops % %, but something still depends on it: %',
                        v_object.kind, v_object.name, v_dependent
                        using hint = 'Drop or change what depends on it, then migrate again.';
                end if;
                execute format('drop %s %s cascade', v_object.kind, v_object.name);
                set local client_min_messages = notice;
                raise notice 'ducto: of somebody who may not use it, and so dropped with % %: %',
                    v_object.kind, v_object.name, v_dependent;
                set local client_min_messages = warning;
            end;
"""

# What cannot be replaced, because its result or the name of a parameter changed.
RETIRED = """
declare
    v_object record;
    v_dependent text;
begin
    for v_object in
        select 'routine' as kind, p.oid, 'pg_catalog.pg_proc'::regclass as catalog,
            p.oid::regprocedure::text as name, p.pronamespace <> 'ducto'::regnamespace as is_api
        from unnest({routines}) as r (signature)
        join pg_catalog.pg_proc as p on p.oid = to_regprocedure(r.signature)
    loop
{drop}
    end loop;
end
"""

# Whatever else lies in the schema, or bears an API name and is the owner's, comes from an older
# release. What others have put beside the API is theirs, and is reported.
CLEAN_UP = """
declare
    v_routines text[] := {routines};
    v_plpython constant text[] := {plpython};
    v_views constant text[] := {views};
    v_kept oid[];
    v_object record;
    v_dependent text;
begin
    if (select s.value from ducto.settings as s where s.key = 'evaluator') = 'plpython' then
        v_routines := v_routines || v_plpython;
    end if;
    v_kept := array(select r::regprocedure::oid from unnest(v_routines) as r);
    for v_object in
        select 'view' as kind, c.oid, 'pg_catalog.pg_class'::regclass as catalog,
            format('%I.%I', n.nspname, c.relname) as name, true as ours, false as is_api,
            pg_get_userbyid(c.relowner) as owner
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'ducto'
            and c.relkind = 'v'
            and format('%s.%s', n.nspname, c.relname) <> all (v_views)
        union all
        select 'routine', p.oid, 'pg_catalog.pg_proc'::regclass,
            p.oid::regprocedure::text,
            n.nspname = 'ducto' or pg_get_userbyid(p.proowner) = current_user,
            n.nspname <> 'ducto',
            pg_get_userbyid(p.proowner)
        from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where (n.nspname = 'ducto' or n.nspname = 'public' and p.proname like 'ducto\\_%')
            and p.oid <> all (v_kept)
        order by 1 desc, 4
    loop
        continue when exists (
            select from pg_catalog.pg_depend as d
            where d.classid = v_object.catalog
                and d.objid = v_object.oid
                and d.deptype = 'e'
        );
        if v_object.ours then
{drop}
        end if;
        set local client_min_messages = notice;
        if v_object.ours then
            raise notice 'ducto: dropped % %', v_object.kind, v_object.name;
        else
            raise notice 'ducto: % is not part of ducto-pg: it belongs to %, and calls may reach '
                'it instead of the function of that name', v_object.name, v_object.owner;
        end if;
        set local client_min_messages = warning;
    end loop;
end
"""

# Bodies are not looked at while routines are created, because they refer to one another; once all
# of them exist, each language's own validator reads them.
CHECK_ROUTINES = """
declare
    v_routine record;
begin
    set local check_function_bodies = on;
    for v_routine in
        select l.lanvalidator::regproc as validator, p.oid, p.oid::regprocedure::text as name
        from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        join pg_catalog.pg_language as l on l.oid = p.prolang
        where (n.nspname = 'ducto' or n.nspname = 'public' and p.proname like 'ducto\\_%')
            and pg_get_userbyid(p.proowner) = current_user
            and l.lanvalidator <> 0
            -- An untrusted language is a superuser's, who has checked it when creating it.
            and has_language_privilege(l.oid, 'usage')
        order by name
    loop
        begin
            execute format('select %s(%s)', v_routine.validator, v_routine.oid);
        exception when others then
            raise exception '%: %', v_routine.name, sqlerrm;
        end;
    end loop;
end
"""

# What was chosen for this database holds for later runs that say nothing.
CHOICES = """
declare
    v_role text;
begin
    insert into ducto.settings as s (key, value)
    select n.key, n.value
    from (
        values
            ('role_prefix', {role_prefix}, 'ducto_'),
            ('create_roles', {create_roles}, 'on')
    ) as c (key, asked, first)
    left join ducto.settings as o on o.key = c.key
    cross join lateral (values (c.key, coalesce(c.asked, o.value, c.first))) as n (key, value)
    on conflict (key) do update
    set value = excluded.value
    where s.value <> excluded.value;
    delete from ducto.role_grants as g where g.role_name = any ({revoked});
    insert into ducto.role_grants as g (role_name, level)
    select n.role_name, n.level
    from unnest({granted}, {levels}) as n (role_name, level)
    on conflict (role_name) do update
    set level = excluded.level
    where g.level <> excluded.level;
    for v_role in
        select g.role_name
        from ducto.role_grants as g
        where not exists (select from pg_catalog.pg_roles as r where r.rolname = g.role_name)
        order by 1
    loop
        if v_role = any ({granted}) then
            raise exception 'the role % does not exist', v_role;
        end if;
        set local client_min_messages = notice;
        raise notice 'ducto: the role %, which was granted access, does not exist any more', v_role;
        set local client_min_messages = warning;
    end loop;
end
"""

COMPLETION = """\
insert into ducto.settings as s (key, value)
values ('version', {version})
on conflict (key) do update
set value = excluded.value
where s.value <> excluded.value;

notify pgrst, 'reload schema';
"""

# One statement, so that it is all or nothing also where no transaction surrounds it, and so that
# tools that split a script into statements send it whole. What it sets, it sets back.
ONE_STATEMENT = """
declare
    v_names constant pg_catalog.text[] := {settings};
    -- Under the caller's search path still, and at the end again: each name says its schema.
    v_before constant pg_catalog.text[] := array(
        select pg_catalog.current_setting(n.name)
        from pg_catalog.unnest(v_names) with ordinality as n (name, position)
        order by n.position
    );
begin
{steps}
    for v_position in 1 .. pg_catalog.cardinality(v_names) loop
        perform pg_catalog.set_config(v_names[v_position], v_before[v_position], true);
    end loop;
end
"""

-- Who may call what, and what was declared last: what a later run needs to know of earlier ones.

create table ducto.api_access (
    routine text primary key,
    role text not null check (role in ('reader', 'service', 'admin', 'self'))
);
comment on table ducto.api_access is
    'The least role that may call each routine of the API; written anew by each migrate.';
comment on column ducto.api_access.role is
    'Admin may what service may, service what reader may; self: a signed-in user, own account.';

create table ducto.role_grants (
    role_name text primary key,
    level text not null check (level in ('reader', 'service', 'admin'))
);
comment on table ducto.role_grants is
    'Roles that were given access by name (ducto migrate --grant), beside the group roles.';

create table ducto.declarations (
    object text primary key,
    sha256 text not null,
    definition text not null
);
comment on table ducto.declarations is
    'Triggers and views as last declared: declaring one locks its table, so it is done on change.';

alter table ducto.api_access enable row level security;
alter table ducto.role_grants enable row level security;
alter table ducto.declarations enable row level security;

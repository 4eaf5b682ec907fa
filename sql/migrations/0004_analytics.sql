-- The analytics rollup: what was used, summed once, so that a report need not read the ledger.
-- Guarantees: the rollup and what it says of itself (watermarks, places, state) are written in one
-- transaction, by one writer at a time; it is derived from the ledger alone and can be thrown away.

create table ducto.credit_usage_rollup (
    scope text collate "C" not null,
    hours smallint not null,
    start_at timestamptz not null,
    team_id text collate "C" not null,
    actor_id text collate "C" not null,
    model text collate "C" not null,
    operation text collate "C" not null,
    charges bigint not null,
    spent numeric(60, 12) not null,
    allowance_consumed numeric(60, 12) not null,
    refunded numeric(60, 12) not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cache_read_tokens bigint not null,
    cache_write_tokens bigint not null,
    primary key (scope, hours, start_at, team_id, actor_id, model, operation)
) with (fillfactor = 80);
create index credit_usage_rollup_team
    on ducto.credit_usage_rollup (team_id, start_at) where scope = 'member' and hours = 24;
create index credit_usage_rollup_teams
    on ducto.credit_usage_rollup (actor_id, team_id) where scope = 'member' and hours = 768;
create index credit_usage_rollup_user
    on ducto.credit_usage_rollup (actor_id, start_at) where scope = 'detail' and team_id = '';
comment on table ducto.credit_usage_rollup is
    'Sums of usage, less refunds: one row per span of time and team that paid, user, model and '
    'operation, or those of them that the scope keeps apart. Empty text: none, or not kept apart.';
comment on column ducto.credit_usage_rollup.scope is
    'detail: all four are kept apart; user: only users; team: only teams; member: teams and users, '
    'of what teams paid; model: model and operation.';
comment on column ducto.credit_usage_rollup.hours is
    'The length of the span: ducto.usage_ladder says which there are, and of what.';
comment on column ducto.credit_usage_rollup.spent is
    'What left balances, less refunds. Wider than other money: it is a sum over many accounts.';

create table ducto.credit_usage_watermarks (
    account_id text primary key,
    rolled_id bigint not null
) with (fillfactor = 70);
comment on table ducto.credit_usage_watermarks is
    'The last entry of each account that is in the rollup. An account''s entries commit in the '
    'order of their ids, so everything up to it is, and nothing above it.';

create table ducto.credit_usage_places (
    slot_at timestamptz not null,
    block bigint not null,
    ids bigint not null,
    primary key (slot_at, block)
);
comment on table ducto.credit_usage_places is
    'Where in the ledger the usage of ten minutes is: the blocks of 64 ids that hold any of it. '
    'What an index on the time would say, at no cost to a charge.';
comment on column ducto.credit_usage_places.ids is
    'Which of the 64 it is, a bit each, and which of them the rollup has.';

create table ducto.credit_usage_state (
    one boolean primary key default true check (one),
    settled_id bigint not null default 0,
    scanned_id bigint not null default 0,
    mark_id bigint not null default 0,
    mark_writers text[] not null default '{}',
    first_at timestamptz,
    last_at timestamptz,
    rolled_up_at timestamptz
);
comment on table ducto.credit_usage_state is
    'How far the rollup is. Its one row, there from the first time on, is what rolling up locks.';
comment on column ducto.credit_usage_state.settled_id is
    'Every entry up to this id, that is there or can still commit, is in the rollup.';
comment on column ducto.credit_usage_state.scanned_id is
    'The highest id that was looked at: entries between the two may be in the rollup or not.';
comment on column ducto.credit_usage_state.mark_id is
    'What settled_id becomes once none of mark_writers, which may still commit ids below it, runs.';
comment on column ducto.credit_usage_state.first_at is
    'The earliest usage in the rollup; last_at: the latest.';

create type ducto.usage_entry as (
    id bigint,
    account_id text,
    team_id text collate "C",
    actor_id text collate "C",
    happened_at timestamptz,
    model text collate "C",
    operation text collate "C",
    charges bigint,
    spent numeric,
    allowance_consumed numeric,
    refunded numeric,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_write_tokens bigint
);
comment on type ducto.usage_entry is
    'A row of the view credit_usage_entries: a charge or a refund, as analytics count it.';

create type ducto.usage_sum as (
    bucket date,
    user_id text,
    team_id text,
    model text,
    operation text,
    spent numeric,
    allowance_consumed numeric,
    refunded numeric,
    cost numeric,
    charges bigint,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_write_tokens bigint
);
comment on type ducto.usage_sum is
    'A row of a report; what it is not grouped by is null.';

alter table ducto.credit_usage_rollup enable row level security;
alter table ducto.credit_usage_watermarks enable row level security;
alter table ducto.credit_usage_places enable row level security;
alter table ducto.credit_usage_state enable row level security;

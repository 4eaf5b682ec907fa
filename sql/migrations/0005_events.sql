-- The event feed: where each consumer has read to, and the events that none of its handlers took.
-- Guarantees: entries and events draw their ids from one sequence, so that the ids of an account
-- rise in the order in which its transactions commit (its row is locked while they are drawn).

alter table ducto.credit_events alter column id drop identity;
alter table ducto.credit_events
    alter column id set default nextval('ducto.credit_transactions_id_seq');
drop index if exists ducto.credit_events_xid;
create index credit_events_id on ducto.credit_events (id);
create index if not exists credit_transactions_id on ducto.credit_transactions (id);

create type ducto.event as (
    event_id bigint,
    type text,
    user_id text,
    team_id text,
    occurred_at timestamptz,
    data jsonb
);
comment on type ducto.event is 'An event as consumers get it.';

create type ducto.charge_data as (
    transaction_id bigint,
    cost numeric,
    allowance_consumed numeric,
    amount numeric,
    balance_after numeric,
    model text,
    operation text,
    metrics jsonb,
    pricing_version integer,
    reservation_id uuid,
    occurred_at timestamptz,
    idempotency_key text,
    metadata jsonb
);
comment on type ducto.charge_data is
    'The data of credits.deducted. Most events are: a type costs a quarter less than naming keys.';

create type ducto.running_writer as (
    xid xid8,
    low bigint
);
comment on type ducto.running_writer is
    'A transaction that was running; all that it writes has an id above low.';

create sequence ducto.event_batches;
comment on sequence ducto.event_batches is 'Numbers what was handed out together.';

create table ducto.event_cursors (
    consumer text not null check (length(consumer) between 1 and 100),
    lane integer not null check (0 <= lane and lane < lanes),
    lanes integer not null check (lanes between 1 and 64),
    cluster bigint not null,
    seen pg_snapshot not null,
    reading pg_snapshot,
    acked_id bigint not null,
    top_id bigint not null,
    mark_xid xid8 not null,
    mark_id bigint not null,
    low bigint not null,
    running ducto.running_writer[] not null,
    batch bigint,
    handed_id bigint,
    handed_at timestamptz,
    lease_seconds integer not null default 60,
    leased_until timestamptz,
    created_at timestamptz not null,
    primary key (consumer, lane)
) with (fillfactor = 50);
comment on table ducto.event_cursors is
    'How far a consumer has read the feed. Each lane has some of the accounts and a lease of its '
    'own, so that as many processes can work at once. All that was visible in `seen` has been '
    'delivered; what is visible in `reading` besides is being delivered, in the order of the ids.';
comment on column ducto.event_cursors.cluster is
    'The server whose transaction ids these are; on another one, reading begins anew at low.';
comment on column ducto.event_cursors.acked_id is
    'Of the window being read: everything up to this id has been acknowledged.';
comment on column ducto.event_cursors.top_id is
    'Of the window being read: nothing in it has an id above this one.';
comment on column ducto.event_cursors.mark_xid is
    'A transaction with a greater xid writes nothing with an id up to mark_id.';
comment on column ducto.event_cursors.low is
    'What transactions wrote that were too young for the last window has an id above this one; '
    'of those that were running then, `running` says it.';
comment on column ducto.event_cursors.batch is
    'What its lease is for; an acknowledgement of another batch is too late.';

create table ducto.event_dead_letters (
    consumer text not null,
    event_id bigint not null,
    event ducto.event not null,
    error text not null,
    attempts integer not null,
    failed_at timestamptz not null,
    retried_at timestamptz,
    batch bigint,
    leased_until timestamptz,
    primary key (consumer, event_id)
);
comment on table ducto.event_dead_letters is
    'Events that a consumer''s handler refused for good, until somebody has them tried again.';
comment on column ducto.event_dead_letters.retried_at is
    'Since when it waits to be delivered once more; null: nobody has asked for that.';

alter table ducto.event_cursors enable row level security;
alter table ducto.event_dead_letters enable row level security;

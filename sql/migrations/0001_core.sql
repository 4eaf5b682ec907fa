-- The tables of the ledger: accounts, lots, entries, holds, caps, teams and their members, events.
-- Guarantees: money is numeric(38,12); no lot goes below zero or above its amount; an idempotency
-- key is unique per account; every unique constraint leads with account_id, so that an account's
-- rows can live on one shard; row-level security is on everywhere.

comment on schema ducto is 'ducto-pg: tables and helpers. Private; the API is public.ducto_*.';

create table ducto.settings (
    key text primary key,
    value text not null
);
comment on table ducto.settings is
    'Installation settings: the evaluator in use, the test clock. Written by the owner only.';

create table ducto.error_catalogue (
    code text primary key check (code ~ '^DU[0-9]{3}$'),
    name text not null unique,
    http_status integer not null,
    message text not null,
    hint text not null
);
comment on table ducto.error_catalogue is
    'Every business error, from sql/errors.yaml; the error''s detail fills its {placeholders}.';

-- Domains, because a check constraint is prepared anew for every statement that writes the table;
-- a domain, only for one that writes the column, and an enum for none.
create domain ducto.account_kind as text check (value in ('user', 'team'));
create domain ducto.account_status as text check (value in ('active', 'frozen'));
create domain ducto.lot_kind as text check (value in (
    'purchase', 'subscription', 'promo', 'signup_bonus', 'adjustment', 'opening',
    'allowance', 'rollover', 'refund'
));
create domain ducto.lot_category as text collate "C" check (value in ('paid', 'promotional'));
create type ducto.entry_type as enum (
    'usage', 'refund', 'expiry', 'revocation', 'purchase', 'subscription', 'promo',
    'signup_bonus', 'adjustment', 'opening', 'rollover'
);

-- What every charge changes stands last: the log then carries little more than these columns. No
-- foreign key points here: its trigger would fetch the row once more with every charge, and an
-- account can neither be deleted nor renamed (ducto.append_only).
create table ducto.credit_accounts (
    account_id text primary key,
    kind ducto.account_kind not null default 'user',
    plan_key text,
    plan_since timestamptz,
    period_anchor timestamptz,
    allowance_until timestamptz,
    allowance_version integer,
    status ducto.account_status not null default 'active',
    has_caps boolean not null default false,
    keyed_holds boolean not null default false,
    alerted_below numeric(38, 12),
    created_at timestamptz not null,
    debt numeric(38, 12) not null default 0,
    balance numeric(38, 12) not null default 0,
    allowance numeric(38, 12) not null default 0,
    held numeric(38, 12) not null default 0,
    granted numeric(38, 12) not null default 0,
    spent numeric(38, 12) not null default 0,
    stale_at timestamptz not null default 'infinity',
    draw_lot bigint,
    draw_free boolean not null default false,
    headroom_version integer,
    headroom_plan text,
    headroom_models text[],
    headroom_except text[],
    headroom_until timestamptz not null default '-infinity',
    hold_floor numeric(38, 12),
    drawn numeric(38, 12) not null default 0,
    headroom numeric(38, 12) not null default 0
) with (fillfactor = 70);
comment on table ducto.credit_accounts is
    'A payer: a user or a team pool. Its row is the first lock of every operation, and every '
    'operation that moves money writes it.';
comment on column ducto.credit_accounts.plan_key is
    'Plan of the active pricing version; null: the default plan, if the pricing has one.';
comment on column ducto.credit_accounts.period_anchor is
    'First instant of the account''s own periods, for plans with period_anchor "account".';
comment on column ducto.credit_accounts.allowance_until is
    'End of the period whose allowance has been granted under allowance_version.';
comment on column ducto.credit_accounts.has_caps is
    'False lets a charge skip looking for caps.';
comment on column ducto.credit_accounts.keyed_holds is
    'Whether a hold ever carried an idempotency key: a charge must not use it again.';
comment on column ducto.credit_accounts.alerted_below is
    'Lowest low-balance threshold announced since the balance was last above it; null: none.';
comment on column ducto.credit_accounts.balance is
    'What the live lots hold, the allowance not counted, less the debt; what is drawn but not yet '
    'written to its lot is still in it.';
comment on column ducto.credit_accounts.allowance is
    'What the live lots of the allowance hold, in the same way.';
comment on column ducto.credit_accounts.held is
    'What open holds set aside.';
comment on column ducto.credit_accounts.granted is
    'Everything ever granted, allowances not counted.';
comment on column ducto.credit_accounts.spent is
    'Everything charges ever took from the balance, less refunds; not yet what is drawn.';
comment on column ducto.credit_accounts.stale_at is
    'Until when balance, allowance and held need no look at the clock: the earliest expiry of a '
    'live lot or deadline of an open hold, or an instant before it.';
comment on column ducto.credit_accounts.draw_lot is
    'The lot that charges within the headroom draw on.';
comment on column ducto.credit_accounts.draw_free is
    'Whether that lot is an allowance.';
comment on column ducto.credit_accounts.headroom_version is
    'The pricing version the headroom was computed under; 0: before any was published.';
comment on column ducto.credit_accounts.headroom_plan is
    'The plan that prices charges within the headroom.';
comment on column ducto.credit_accounts.headroom_models is
    'Where a cap is on a model, the headroom is of charges of one model: of the second of these '
    'models, whose caps they count against (ducto.cap_models). Null: of every charge.';
comment on column ducto.credit_accounts.headroom_except is
    'Operations that it is not of: the plan lacks a feature that they require. Null: none.';
comment on column ducto.credit_accounts.headroom_until is
    'The last instant of the headroom; -infinity: it is closed.';
comment on column ducto.credit_accounts.hold_floor is
    'The floor of the holds that are taken within the headroom; null: every hold is looked at.';
comment on column ducto.credit_accounts.drawn is
    'Taken from draw_lot and not yet written to it, nor to the caps: ducto.lock_account does.';
comment on column ducto.credit_accounts.headroom is
    'How much more may be charged before anything has to be decided again.';

create table ducto.credit_lots (
    account_id text not null,
    lot_id bigint generated always as identity,
    kind ducto.lot_kind not null,
    free boolean generated always as (kind = 'allowance') stored,
    category ducto.lot_category not null,
    amount numeric(38, 12) not null,
    remaining numeric(38, 12) not null,
    forfeited numeric(38, 12) not null default 0,
    live boolean not null default true,
    priority integer not null default 100,
    effective_at timestamptz not null,
    expires_at timestamptz,
    plan_key text,
    period_start timestamptz,
    transaction_id bigint,
    revoked_at timestamptz,
    created_at timestamptz not null,
    primary key (account_id, lot_id),
    check (0 <= remaining and remaining <= amount)
) with (fillfactor = 70);
-- No index may mention `remaining`: updates of it must stay HOT. The first is the order of
-- consumption, so that a charge reads the lots it draws on and no others.
create index credit_lots_order on ducto.credit_lots
    (account_id, free desc, priority, expires_at, category desc, lot_id) where live;
create index credit_lots_lapsing on ducto.credit_lots (account_id, expires_at) where live;
create index credit_lots_expiring on ducto.credit_lots (expires_at) where live;
create unique index credit_lots_allowance
    on ducto.credit_lots (account_id, plan_key, period_start) where kind = 'allowance';
create unique index credit_lots_signup_bonus
    on ducto.credit_lots (account_id) where kind = 'signup_bonus';
comment on table ducto.credit_lots is
    'A grant of credits. The truth about a balance: the sum of remaining, less the debt and what '
    'the account has drawn and not yet written.';
comment on column ducto.credit_lots.free is
    'An allowance: it pays before everything else and is not part of the balance.';
comment on column ducto.credit_lots.live is
    'False once the lot is used up, expired or revoked; charges only look at live lots.';
comment on column ducto.credit_lots.forfeited is
    'Credits that left the lot unspent: expired, revoked, or taken by a negative adjustment.';
comment on column ducto.credit_lots.priority is
    'Lower is consumed first.';
comment on column ducto.credit_lots.period_start is
    'Of an allowance: the period it was granted for; null for an allowance given back later.';
comment on column ducto.credit_lots.transaction_id is
    'The ledger entry that granted it; null for an allowance, which is not part of the balance.';

create table ducto.credit_transactions (
    id bigint generated always as identity,
    created_at timestamptz not null,
    xid xid8 not null default pg_current_xact_id(),
    lot_id bigint,
    reference_id bigint,
    pricing_version integer,
    account_id text not null,
    actor_id text not null,
    type ducto.entry_type not null,
    amount numeric(38, 12) not null,
    balance_after numeric(38, 12) not null,
    available_after numeric(38, 12),
    allowance_consumed numeric(38, 12) not null default 0,
    allocations jsonb,
    metrics jsonb,
    model text,
    operation text,
    breakdown jsonb,
    plan_key text,
    warnings jsonb,
    idempotency_key text,
    fingerprint bytea,
    reservation_id uuid,
    occurred_at timestamptz,
    metadata jsonb,
    primary key (account_id, id)
);
-- Each index costs every charge 3 to 5 percent, a partial one more than a whole one.
create unique index credit_transactions_idempotency_key
    on ducto.credit_transactions (account_id, idempotency_key);
create index credit_transactions_id on ducto.credit_transactions (id);
comment on table ducto.credit_transactions is
    'The ledger: append-only. Each balance_after is the previous one of the account plus amount. '
    'A row is as narrow as its facts: what its other columns say is null (ducto.entry_allocations, '
    'ducto.entry_breakdown).';
comment on column ducto.credit_transactions.lot_id is
    'The one lot that a charge drew on, where it was one: allocations are then null.';
comment on column ducto.credit_transactions.amount is
    'Signed change of the balance: negative for a charge, positive for a grant or a refund.';
comment on column ducto.credit_transactions.available_after is
    'Of a charge: what could be charged after it; null: balance_after.';
comment on column ducto.credit_transactions.allowance_consumed is
    'Part of a charge the plan''s allowance paid; negative when a refund gives it back.';
comment on column ducto.credit_transactions.allocations is
    'What the entry did, in order: [{"lot": id, "amount": change}, {"debt": change}].';
comment on column ducto.credit_transactions.breakdown is
    'The parts of the price; null: the model, or the job where no model was named, is all of it.';
comment on column ducto.credit_transactions.fingerprint is
    'Of a keyed grant, refund or revocation: sha256 of the operation and its arguments; a key may '
    'only be used again with the same. A charge is compared with its own row.';
comment on column ducto.credit_transactions.reference_id is
    'The entry this one answers: the charge of a refund, the grant of a revocation.';
comment on column ducto.credit_transactions.xid is
    'The writing transaction, by which the event feed and the rollup know what they have seen.';
comment on column ducto.credit_transactions.occurred_at is
    'When the usage happened, where it was reported later; null: at created_at.';

create table ducto.credit_references (
    account_id text not null,
    reference_id bigint not null,
    transaction_id bigint not null,
    primary key (account_id, reference_id, transaction_id)
);
comment on table ducto.credit_references is
    'Which entries answer an entry: the refunds of a charge, the revocation of a grant. Kept '
    'apart, so that no charge pays for an index that only they need.';

create table ducto.credit_reservations (
    account_id text not null,
    reservation_id uuid not null default gen_random_uuid(),
    actor_id text not null,
    amount numeric(38, 12) not null check (amount >= 0),
    held numeric(38, 12) not null,
    charged numeric(38, 12) not null default 0,
    capped numeric(38, 12) not null default 0,
    counted boolean not null default true,
    operation text,
    model text,
    status text not null default 'active'
        check (status in ('active', 'settled', 'released', 'expired')),
    expires_at timestamptz not null,
    pricing_version integer,
    plan_key text,
    floor numeric(38, 12) not null default 0,
    metrics jsonb,
    transaction_id bigint,
    idempotency_key text,
    fingerprint bytea,
    metadata jsonb,
    created_at timestamptz not null,
    closed_at timestamptz,
    primary key (account_id, reservation_id),
    check (0 <= held and held <= amount)
) with (fillfactor = 70);
create index credit_reservations_id on ducto.credit_reservations (reservation_id);
create index credit_reservations_active
    on ducto.credit_reservations (account_id, expires_at) where status = 'active';
create unique index credit_reservations_idempotency_key
    on ducto.credit_reservations (account_id, idempotency_key);
comment on table ducto.credit_reservations is
    'A hold: credits set aside until it is settled, released, or its deadline passes.';
comment on column ducto.credit_reservations.held is
    'What it still sets aside: the amount, less what partial settlements have charged.';
comment on column ducto.credit_reservations.capped is
    'The room it takes in the caps that cover it: the part that would leave the balance.';
comment on column ducto.credit_reservations.counted is
    'Whether the account''s held and its caps count it; false once its deadline was noticed.';
comment on column ducto.credit_reservations.model is
    'The model it was priced as, for the caps that cover it.';
comment on column ducto.credit_reservations.floor is
    'The balance that a settlement above the hold may go down to.';

create table ducto.credit_spend_caps (
    account_id text not null,
    cap_type text not null check (cap_type in ('daily', 'weekly', 'monthly')),
    model text not null default '',
    amount_limit numeric(38, 12) not null check (amount_limit >= 0),
    action text not null default 'deny' check (action in ('deny', 'warn', 'notify')),
    window_start timestamptz not null,
    window_end timestamptz not null,
    spent numeric(38, 12) not null default 0 check (spent >= 0),
    held numeric(38, 12) not null default 0 check (held >= 0),
    created_at timestamptz not null,
    primary key (account_id, cap_type, model)
) with (fillfactor = 50);
comment on table ducto.credit_spend_caps is
    'A cap on what leaves an account''s balance in a window, with the window''s running total and '
    'the room that open holds take.';
comment on column ducto.credit_spend_caps.model is 'The model it covers; empty: every charge.';

create table ducto.credit_teams (
    account_id text primary key,
    name text not null,
    metadata jsonb,
    idempotency_key text,
    fingerprint bytea not null,
    created_at timestamptz not null
);
comment on table ducto.credit_teams is
    'What a team is besides an account: kept apart from what every charge of it writes.';
comment on column ducto.credit_teams.fingerprint is
    'sha256 of the call that created it; idempotency_key: its key.';

create table ducto.credit_team_members (
    account_id text not null,
    user_id text not null check (length(user_id) between 1 and 200),
    role text not null default 'member' check (role in ('owner', 'admin', 'member')),
    spend_cap numeric(38, 12) check (spend_cap >= 0),
    cap_type text check (cap_type in ('daily', 'weekly', 'monthly')),
    window_start timestamptz,
    window_end timestamptz,
    spent numeric(38, 12) not null default 0 check (spent >= 0),
    held numeric(38, 12) not null default 0 check (held >= 0),
    created_at timestamptz not null,
    primary key (account_id, user_id),
    check (num_nulls(spend_cap, cap_type, window_start, window_end) in (0, 4)),
    check (spend_cap is not null or spent = 0 and held = 0)
) with (fillfactor = 70);
create index credit_team_members_user on ducto.credit_team_members (user_id, account_id);
comment on table ducto.credit_team_members is
    'A user in a team. With a spend cap: what the user''s charges of the team have spent in its '
    'window and what the user''s open holds take. Without one (null), nothing is counted here. It '
    'changes with the team''s account locked and written, so that no charge overlooks it.';

create table ducto.credit_events (
    id bigint generated always as identity,
    account_id text not null,
    actor_id text not null,
    type text not null,
    data jsonb not null default '{}',
    created_at timestamptz not null,
    xid xid8 not null default pg_current_xact_id(),
    primary key (account_id, id)
);
create index credit_events_xid on ducto.credit_events (xid, id);
comment on table ducto.credit_events is
    'Events that no ledger entry already tells; the feed is the ledger and these, merged.';

alter table ducto.settings enable row level security;
alter table ducto.error_catalogue enable row level security;
alter table ducto.credit_accounts enable row level security;
alter table ducto.credit_lots enable row level security;
alter table ducto.credit_transactions enable row level security;
alter table ducto.credit_reservations enable row level security;
alter table ducto.credit_spend_caps enable row level security;
alter table ducto.credit_teams enable row level security;
alter table ducto.credit_team_members enable row level security;
alter table ducto.credit_events enable row level security;

-- Rows as routines pass them on. Types of our own: where tables are distributed, a table's row type
-- cannot be a parameter.
create type ducto.account as (
    account_id text,
    kind ducto.account_kind,
    plan_key text,
    plan_since timestamptz,
    period_anchor timestamptz,
    allowance_until timestamptz,
    allowance_version integer,
    status ducto.account_status,
    has_caps boolean,
    keyed_holds boolean,
    alerted_below numeric,
    created_at timestamptz,
    debt numeric,
    balance numeric,
    allowance numeric,
    held numeric,
    granted numeric,
    spent numeric,
    stale_at timestamptz,
    draw_lot bigint,
    draw_free boolean,
    headroom_version integer,
    headroom_plan text,
    headroom_models text[],
    headroom_except text[],
    headroom_until timestamptz,
    hold_floor numeric,
    drawn numeric,
    headroom numeric
);
comment on type ducto.account is
    'A row of credit_accounts.';
create type ducto.entry as (
    id bigint,
    created_at timestamptz,
    xid xid8,
    lot_id bigint,
    reference_id bigint,
    pricing_version integer,
    account_id text,
    actor_id text,
    type ducto.entry_type,
    amount numeric,
    balance_after numeric,
    available_after numeric,
    allowance_consumed numeric,
    allocations jsonb,
    metrics jsonb,
    model text,
    operation text,
    breakdown jsonb,
    plan_key text,
    warnings jsonb,
    idempotency_key text,
    fingerprint bytea,
    reservation_id uuid,
    occurred_at timestamptz,
    metadata jsonb
);
comment on type ducto.entry is
    'A row of credit_transactions.';
create type ducto.reservation as (
    account_id text,
    reservation_id uuid,
    actor_id text,
    amount numeric,
    held numeric,
    charged numeric,
    capped numeric,
    counted boolean,
    operation text,
    model text,
    status text,
    expires_at timestamptz,
    pricing_version integer,
    plan_key text,
    floor numeric,
    metrics jsonb,
    transaction_id bigint,
    idempotency_key text,
    fingerprint bytea,
    metadata jsonb,
    created_at timestamptz,
    closed_at timestamptz
);
comment on type ducto.reservation is
    'A row of credit_reservations.';
create type ducto.cap as (
    account_id text,
    cap_type text,
    model text,
    amount_limit numeric,
    action text,
    window_start timestamptz,
    window_end timestamptz,
    spent numeric,
    held numeric,
    created_at timestamptz
);
comment on type ducto.cap is
    'A row of credit_spend_caps.';

create type ducto.member as (
    account_id text,
    user_id text,
    role text,
    spend_cap numeric,
    cap_type text,
    window_start timestamptz,
    window_end timestamptz,
    spent numeric,
    held numeric,
    created_at timestamptz
);
comment on type ducto.member is
    'A row of credit_team_members.';

create type ducto.lot as (
    kind text,
    category text,
    remaining numeric,
    priority integer,
    expires_at timestamptz,
    period_start timestamptz
);
comment on type ducto.lot is 'A lot that is due but not yet written.';

create type ducto.terms as (
    version integer,
    plan_key text,
    plan_missing boolean,
    floor numeric,
    floor_max numeric,
    thresholds numeric[],
    features jsonb,
    missing_feature text,
    refused text[],
    policies boolean,
    allowance_due boolean,
    free_allowance numeric,
    period text,
    anchored boolean,
    rollover_max numeric,
    max_concurrent integer,
    max_concurrent_operation integer
);
comment on type ducto.terms is
    'What the active pricing (version 0: none) and the account''s plan say about an operation. '
    'policies: some operations have terms of their own; floor_max: the highest floor of any; '
    'refused: those whose required feature the plan lacks, or null; allowance_due: the period''s '
    'allowance is not yet written.';

create type ducto.draft as (
    price jsonb,
    cost numeric,
    free numeric,
    amount numeric,
    debt numeric,
    lots bigint[],
    takes numeric[],
    warnings jsonb,
    events jsonb,
    failure jsonb
);
comment on type ducto.draft is
    'A charge before anything is written: cost = free (paid by the allowance) + amount (leaves the '
    'balance); the lots it draws on, in order, with what it takes from each; debt: what none pays; '
    'failure: why it may not happen.';

create type ducto.drawn as (
    kind ducto.account_kind,
    lot_id bigint,
    version integer,
    plan_key text,
    cost numeric,
    free numeric,
    balance_after numeric,
    available_after numeric,
    created_at timestamptz,
    parts jsonb,
    warnings jsonb,
    result jsonb
);
comment on type ducto.drawn is
    'What a charge has taken out of its account''s headroom: cost, of it free; parts: of the '
    'price. result: of a charge that is over without having drawn on it.';

create type ducto.linear as (
    version integer,
    plain_except text[],
    exact numeric,
    cost numeric
);
comment on type ducto.linear is
    'A price that is a sum of products, exact and rounded; plain_except: the plans it is not of.';

create type ducto.receipt as (
    status text,
    transaction_id bigint,
    user_id text,
    team_id text,
    model text,
    cost numeric,
    allowance_consumed numeric,
    amount numeric,
    balance_after numeric,
    available_after numeric,
    pricing_version integer,
    breakdown jsonb,
    warnings jsonb,
    replayed boolean
);
comment on type ducto.receipt is
    'The result of a charge: to_jsonb makes it an object at half the cost of naming each key.';

create type ducto.plain_parts as (
    cache integer,
    fixed integer,
    model numeric,
    tools integer,
    total numeric,
    search integer
);
comment on type ducto.plain_parts is
    'The breakdown of a price that is the model''s alone.';
create type ducto.plain_receipt as (
    cost numeric,
    model text,
    amount numeric,
    status text,
    team_id text,
    user_id text,
    replayed boolean,
    warnings jsonb,
    breakdown ducto.plain_parts,
    balance_after numeric,
    transaction_id bigint,
    available_after numeric,
    pricing_version integer,
    allowance_consumed numeric
);
comment on type ducto.plain_receipt is
    'The result of a usual charge: a receipt with its keys in the order in which jsonb keeps them, '
    'so that none has to be sorted.';

create type ducto.hold_receipt as (
    held numeric,
    state text,
    amount numeric,
    status text,
    user_id text,
    replayed boolean,
    available numeric,
    expires_at timestamptz,
    reservation_id uuid,
    pricing_version integer
);
comment on type ducto.hold_receipt is
    'The result of a hold: what it sets aside, and what is then available.';

create type ducto.settlement as (
    cost numeric,
    model text,
    amount numeric,
    status text,
    team_id text,
    user_id text,
    replayed boolean,
    warnings jsonb,
    breakdown ducto.plain_parts,
    balance_after numeric,
    reservation_id uuid,
    transaction_id bigint,
    available_after numeric,
    pricing_version integer,
    allowance_consumed numeric
);
comment on type ducto.settlement is
    'The result of a usual settlement: as a plain_receipt, with the hold.';

create type ducto.booking as (
    place integer,
    version integer,
    account_id text,
    idempotency_key text,
    cost numeric,
    exact numeric,
    change numeric,
    metrics jsonb,
    metadata jsonb,
    occurred_at timestamptz
);
comment on type ducto.booking is
    'A charge of a batch. place: in the batch, from 1; account_id: who pays; cost, exact: its '
    'price in that version; change: what it and those before it of its account take.';

create type ducto.granted as (account ducto.account, entry ducto.entry);
comment on type ducto.granted is 'An entry, and the account after it, not yet saved.';

create type ducto.lapsed as (account ducto.account, expired numeric, lots integer);
comment on type ducto.lapsed is
    'Credits that expired, of how many lots, and the account after it, not yet saved.';

create type ducto.given_back as (
    account ducto.account,
    allocations jsonb,
    amount numeric,
    allowance numeric
);
comment on type ducto.given_back is
    'What a refund gives back, to the balance and to the allowance, and the account after it, not '
    'yet saved.';

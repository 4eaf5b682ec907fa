-- The tables of the ledger: accounts, lots, entries, holds, caps, team members, events.
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

create table ducto.credit_accounts (
    account_id text primary key check (length(account_id) between 1 and 200),
    kind text not null default 'user' check (kind in ('user', 'team')),
    name text,
    plan_key text,
    plan_since timestamptz,
    period_anchor timestamptz,
    allowance_until timestamptz,
    allowance_version integer,
    debt numeric(38, 12) not null default 0 check (debt >= 0),
    adjusted numeric(38, 12) not null default 0,
    status text not null default 'active' check (status in ('active', 'frozen')),
    has_caps boolean not null default false,
    open_holds integer not null default 0 check (open_holds >= 0),
    alerted_below numeric(38, 12),
    created_at timestamptz not null
) with (fillfactor = 80);
comment on table ducto.credit_accounts is
    'A payer: a user or a team pool. Its row is the first lock of every operation.';
comment on column ducto.credit_accounts.plan_key is
    'Plan of the active pricing version; null: the default plan, if the pricing has one.';
comment on column ducto.credit_accounts.period_anchor is
    'First instant of the account''s own periods, for plans with period_anchor "account".';
comment on column ducto.credit_accounts.allowance_until is
    'End of the period whose allowance has been granted under allowance_version.';
comment on column ducto.credit_accounts.adjusted is
    'What negative adjustments took beyond all lots: it became debt, yet was never spent.';
comment on column ducto.credit_accounts.has_caps is
    'False lets a charge skip looking for caps.';
comment on column ducto.credit_accounts.open_holds is
    'Holds not yet closed; 0 lets a charge skip looking for them.';
comment on column ducto.credit_accounts.alerted_below is
    'Lowest low-balance threshold announced since the balance was last above it; null: none.';

-- Domains, because a check constraint is parsed anew for every statement that writes the table.
create domain ducto.lot_kind as text check (value in (
    'purchase', 'subscription', 'promo', 'signup_bonus', 'adjustment', 'opening',
    'allowance', 'rollover', 'refund'
));
create domain ducto.lot_category as text check (value in ('paid', 'promotional'));
create domain ducto.entry_type as text check (value in (
    'usage', 'refund', 'expiry', 'revocation', 'purchase', 'subscription', 'promo',
    'signup_bonus', 'adjustment', 'opening', 'rollover'
));

create table ducto.credit_lots (
    account_id text not null references ducto.credit_accounts,
    lot_id bigint generated always as identity,
    kind ducto.lot_kind not null,
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
-- No index may mention `remaining`: a charge updates it, and the update must stay HOT.
create index credit_lots_live on ducto.credit_lots (account_id) where live;
create unique index credit_lots_allowance
    on ducto.credit_lots (account_id, plan_key, period_start) where kind = 'allowance';
create unique index credit_lots_signup_bonus
    on ducto.credit_lots (account_id) where kind = 'signup_bonus';
create index credit_lots_expiring on ducto.credit_lots (expires_at) where live;
comment on table ducto.credit_lots is
    'A grant of credits. The truth about a balance: the sum of remaining, less the debt.';
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

-- No foreign key to the account: its check costs every charge a tenth of its time, and an account
-- can neither be deleted nor renamed (ducto.append_only guards credit_accounts too).
create table ducto.credit_transactions (
    id bigint generated always as identity,
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
    pricing_version integer,
    plan_key text,
    warnings jsonb,
    idempotency_key text,
    fingerprint bytea,
    reference_id bigint,
    reservation_id uuid,
    metadata jsonb,
    created_at timestamptz not null,
    xid xid8 not null default pg_current_xact_id(),
    primary key (account_id, id)
);
create unique index credit_transactions_idempotency_key
    on ducto.credit_transactions (account_id, idempotency_key) where idempotency_key is not null;
create index credit_transactions_reference
    on ducto.credit_transactions (account_id, reference_id) where reference_id is not null;
-- Entries are written in the order of both, nearly: look-ups by id or time need no b-tree.
create index credit_transactions_brin on ducto.credit_transactions
    using brin (id, created_at) with (pages_per_range = 16, autosummarize = on);
comment on table ducto.credit_transactions is
    'The ledger: append-only. Each balance_after is the previous one of the account plus amount.';
comment on column ducto.credit_transactions.amount is
    'Signed change of the balance: negative for a charge, positive for a grant or a refund.';
comment on column ducto.credit_transactions.allowance_consumed is
    'Part of a charge the plan''s allowance paid; negative when a refund gives it back.';
comment on column ducto.credit_transactions.allocations is
    'What the entry did, in order: [{"lot": id, "amount": change}, {"debt": change}].';
comment on column ducto.credit_transactions.fingerprint is
    'Of a keyed grant, refund or revocation: sha256 of the operation and its arguments; a key may '
    'only be used again with the same. A charge is compared with its own row.';
comment on column ducto.credit_transactions.reference_id is
    'The entry this one answers: the charge of a refund, the grant of a revocation.';
comment on column ducto.credit_transactions.xid is
    'The writing transaction, so that the event feed can stay behind the oldest running one.';

create table ducto.credit_reservations (
    account_id text not null references ducto.credit_accounts,
    reservation_id uuid not null default gen_random_uuid(),
    actor_id text not null,
    amount numeric(38, 12) not null check (amount >= 0),
    held numeric(38, 12) not null,
    charged numeric(38, 12) not null default 0,
    operation text,
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
) with (fillfactor = 80);
create index credit_reservations_id on ducto.credit_reservations (reservation_id);
create index credit_reservations_active
    on ducto.credit_reservations (account_id) where status = 'active';
create index credit_reservations_deadline
    on ducto.credit_reservations (expires_at) where status = 'active';
create unique index credit_reservations_idempotency_key
    on ducto.credit_reservations (account_id, idempotency_key) where idempotency_key is not null;
comment on table ducto.credit_reservations is
    'A hold: credits set aside until it is settled, released, or its deadline passes.';
comment on column ducto.credit_reservations.held is
    'What it still sets aside: the amount, less what partial settlements have charged.';
comment on column ducto.credit_reservations.floor is
    'The balance that a settlement above the hold may go down to.';

create table ducto.credit_spend_caps (
    account_id text not null references ducto.credit_accounts,
    cap_type text not null check (cap_type in ('daily', 'weekly', 'monthly')),
    model text not null default '',
    amount_limit numeric(38, 12) not null check (amount_limit >= 0),
    action text not null default 'deny' check (action in ('deny', 'warn', 'notify')),
    window_start timestamptz not null,
    window_end timestamptz not null,
    spent numeric(38, 12) not null default 0 check (spent >= 0),
    created_at timestamptz not null,
    primary key (account_id, cap_type, model)
) with (fillfactor = 50);
comment on table ducto.credit_spend_caps is
    'A cap on what leaves an account''s balance in a window, with the window''s running total.';
comment on column ducto.credit_spend_caps.model is 'The model it covers; empty: every charge.';

create table ducto.credit_team_members (
    account_id text not null references ducto.credit_accounts,
    user_id text not null check (length(user_id) between 1 and 200),
    role text not null default 'member' check (role in ('owner', 'admin', 'member')),
    spend_cap numeric(38, 12) check (spend_cap >= 0),
    window_start timestamptz not null,
    spent numeric(38, 12) not null default 0 check (spent >= 0),
    created_at timestamptz not null,
    primary key (account_id, user_id)
) with (fillfactor = 70);
create index credit_team_members_user on ducto.credit_team_members (user_id);
comment on table ducto.credit_team_members is
    'A user in a team, with a monthly spend cap (null: none) and this month''s running total.';

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
alter table ducto.credit_team_members enable row level security;
alter table ducto.credit_events enable row level security;

create type ducto.lot as (
    lot_id bigint,
    kind text,
    category text,
    remaining numeric,
    priority integer,
    expires_at timestamptz,
    created_at timestamptz
);
comment on type ducto.lot is 'A lot that is due but not yet written; lot_id is null.';

create type ducto.terms as (
    version integer,
    plan_key text,
    plan_missing boolean,
    floor numeric,
    free_allowance numeric,
    allowance_due boolean,
    due ducto.lot[],
    period text,
    anchored boolean,
    rollover_max numeric,
    max_concurrent integer,
    max_concurrent_operation integer,
    missing_feature text
);
comment on type ducto.terms is
    'What the plan of an account says about one operation; floor null: the pricing''s holds.';

create type ducto.assessment as (
    failure jsonb,
    price jsonb,
    cost numeric,
    free numeric,
    amount numeric,
    balance numeric,
    allowance numeric,
    held numeric,
    version integer,
    plan_key text,
    floor numeric,
    thresholds numeric[],
    allocations jsonb,
    stale boolean,
    contested boolean,
    warnings jsonb,
    events jsonb,
    terms ducto.terms
);
comment on type ducto.assessment is
    'What a charge would do, decided before anything is written. cost = free (paid by the '
    'allowance) + amount (leaves the balance); balance, allowance and held: before the charge, '
    'held without what the hold being settled frees; version and plan_key: what priced it; stale: '
    'lapsed lots or a due allowance count here but are not yet written; contested: ducto.decide '
    'must say whether it may happen; failure: why not; terms: of the plan, null without one.';

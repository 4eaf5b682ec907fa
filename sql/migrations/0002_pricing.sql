-- The tables of pricing: versions, their expressions in compiled form, their plans.
-- Guarantees: a published version never changes; exactly one version is active; a charge finds
-- each expression by one key probe, however many models and versions there are.

create table ducto.credit_pricing_config (
    version integer primary key check (version <> 0),
    id uuid not null unique default gen_random_uuid(),
    label text check (length(label) between 1 and 200),
    config jsonb not null check (jsonb_typeof(config) = 'object'),
    active boolean not null default false,
    scale smallint not null default 12 check (scale between 0 and 12),
    rounding text not null default 'half_up'
        check (rounding in ('half_up', 'half_even', 'ceiling')),
    min_balance numeric(38, 12) not null default 0,
    metric_names text[] not null,
    summed_sections text[] not null default '{}',
    override_plans text[] not null default '{}',
    default_plan_key text,
    low_balance_thresholds numeric[] not null default '{}',
    signup_bonus numeric(38, 12) not null default 0 check (signup_bonus >= 0),
    created_at timestamptz not null,
    created_by text not null default session_user,
    xid xid8 not null default pg_current_xact_id(),
    check (version > 0 or not active)
);
create unique index credit_pricing_config_active
    on ducto.credit_pricing_config (active) where active;
comment on table ducto.credit_pricing_config is
    'An immutable pricing version. Negative versions are scratch: their transaction deletes them.';
comment on column ducto.credit_pricing_config.config is
    'The config as published.';
comment on column ducto.credit_pricing_config.active is
    'True for the one version that charges are priced with.';
comment on column ducto.credit_pricing_config.scale is
    'Decimal places a price is rounded to, once.';
comment on column ducto.credit_pricing_config.min_balance is
    'The floor of a balance, where a plan''s policy sets none.';
comment on column ducto.credit_pricing_config.metric_names is
    'Every metric a usage may report: the standard names and the config''s own.';
comment on column ducto.credit_pricing_config.summed_sections is
    'Which of search and cache have entries, in the base or in an override.';
comment on column ducto.credit_pricing_config.override_plans is
    'The plans with rate overrides; a usage of any other plan skips looking for one.';
comment on column ducto.credit_pricing_config.default_plan_key is
    'The plan of accounts that were never assigned one; null: they have none.';
comment on column ducto.credit_pricing_config.low_balance_thresholds is
    'Balances whose crossing is announced, descending.';
comment on column ducto.credit_pricing_config.xid is
    'The publishing transaction: a session may keep what it read of a version that is committed.';

create table ducto.credit_rates (
    version integer not null
        references ducto.credit_pricing_config on delete cascade,
    plan_key text collate "C" not null default '',
    section text collate "C" not null
        check (section in ('models', 'tools', 'search', 'cache', 'fixed')),
    key text collate "C" not null check (length(key) between 1 and 200),
    expression text not null,
    code integer[] not null,
    constants numeric[] not null,
    names text[] not null,
    factors numeric[],
    plain_scale smallint,
    plain_except text[],
    primary key (version, plan_key, section, key)
);
comment on table ducto.credit_rates is
    'One expression of a version and its program (docs/portable-programs.md).';
comment on column ducto.credit_rates.plan_key is
    'The plan whose override it is; empty: the base price.';
comment on column ducto.credit_rates.key is
    'Model, tool, job or entry name. Collation C: a prefix sorts right before what it begins.';
comment on column ducto.credit_rates.code is
    'The program: pairs of an opcode and its argument.';
comment on column ducto.credit_rates.factors is
    'Where the expression is a sum of products of metrics and constants: the constant it adds, '
    'then the factor of each of names, at most four. A charge computes it in its own statement.';
comment on column ducto.credit_rates.plain_scale is
    'The scale of the price, where nothing but this rate prices a usage of standard metrics, '
    'rounded half up; null: see the version. A charge then needs to read nothing else.';
comment on column ducto.credit_rates.plain_except is
    'The plans that plain_scale does not hold for, because they override rates.';

create table ducto.credit_linear_rates (
    model jsonb primary key,
    version integer not null,
    scale integer,
    metrics text[] not null,
    plain_except text[] not null,
    constant numeric not null,
    metric_1 text,
    factor_1 numeric,
    metric_2 text,
    factor_2 numeric,
    metric_3 text,
    factor_3 numeric,
    metric_4 text,
    factor_4 numeric
);
comment on table ducto.credit_linear_rates is
    'The models of the active version whose price is a sum of products of metrics and constants, '
    'and nothing else: a charge finds version and price with one look. Written with activation.';
comment on column ducto.credit_linear_rates.model is 'As metrics have it: a string.';
comment on column ducto.credit_linear_rates.scale is
    'To how many decimals the sum is rounded; null: for whole metrics it never has more.';
comment on column ducto.credit_linear_rates.metrics is
    'What a usage with this price may report: the standard metrics, and what says no quantity.';

create table ducto.credit_plans (
    version integer not null
        references ducto.credit_pricing_config on delete cascade,
    plan_key text collate "C" not null check (length(plan_key) between 1 and 200),
    name text not null,
    free_allowance numeric(38, 12) not null default 0 check (free_allowance >= 0),
    period text not null default 'monthly'
        check (period in ('daily', 'weekly', 'monthly', 'yearly')),
    period_anchor text not null default 'calendar'
        check (period_anchor in ('calendar', 'account')),
    rollover_max numeric(38, 12) not null default 0 check (rollover_max >= 0),
    features jsonb not null default '{}' check (jsonb_typeof(features) = 'object'),
    billing_mode text not null default 'strict' check (billing_mode in ('strict', 'overdraft')),
    overdraft_floor numeric(38, 12) check (overdraft_floor <= 0),
    max_concurrent integer check (max_concurrent >= 0),
    per_operation jsonb not null default '{}' check (jsonb_typeof(per_operation) = 'object'),
    is_default boolean not null default false,
    position integer not null,
    primary key (version, plan_key)
);
create unique index credit_plans_default on ducto.credit_plans (version) where is_default;
comment on table ducto.credit_plans is
    'A plan of a pricing version: allowance, features and billing policy.';
comment on column ducto.credit_plans.period_anchor is
    'Whether periods follow the UTC calendar or begin at the account''s own anchor.';
comment on column ducto.credit_plans.rollover_max is
    'How much unused allowance is carried into the next period; 0: none.';
comment on column ducto.credit_plans.overdraft_floor is
    'In overdraft mode, how far below zero a balance may go; null: without limit.';
comment on column ducto.credit_plans.max_concurrent is
    'How many holds may be open at once; null: any number.';
comment on column ducto.credit_plans.per_operation is
    'Per operation type: billing_mode, overdraft_floor, max_concurrent, required_feature.';
comment on column ducto.credit_plans.is_default is
    'The plan of accounts that were never assigned one.';
comment on column ducto.credit_plans.position is
    'Its place in the config.';

create sequence ducto.scratch_versions as integer
    increment by -1 minvalue -2147483647 maxvalue -1 start -1 cycle;
comment on sequence ducto.scratch_versions is
    'Versions under which a candidate config is staged and deleted within one call.';

alter table ducto.credit_pricing_config enable row level security;
alter table ducto.credit_rates enable row level security;
alter table ducto.credit_linear_rates enable row level security;
alter table ducto.credit_plans enable row level security;

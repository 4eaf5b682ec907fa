-- Accounts in bulk, as the API would have left them: every grant has its ledger entry, every spent
-- credit its charge, every running total its entries, so that ducto_check() finds nothing.
-- Run by a superuser with session_replication_role = replica, which skips the triggers that the
-- rows satisfy by construction.
create schema bench;

-- Accounts <prefix>1 to <prefix>n, each with a purchase, made in p_lots parts that expire in turn
-- where there are several. With a plan: the allowance of this month, which is untouched, or used up
-- by one charge where it is as small. With p_caps, a daily and a monthly cap on that model (empty:
-- on every charge). With p_holds: so many open holds of one credit. Their headroom is closed, as a
-- grant leaves it.
create function bench.add_accounts(
    p_prefix text,
    p_count integer,
    p_plan_key text,
    p_caps text,
    p_lots integer,
    p_holds integer,
    p_metrics jsonb
)
returns void
language plpgsql
as $$
declare
    v_purchase numeric := 1000000;
    v_until timestamptz := ducto.now() + interval '144 hours';
    v_month record;
    v_plan ducto.credit_plans;
    v_version integer;
    v_price jsonb;
    v_cost numeric;
    v_used boolean;
    v_allowance numeric;
    v_lots bigint;
    v_entries bigint;
begin
    select p.period_start, p.period_end into v_month from ducto.period('monthly', ducto.now()) p;
    select c.version into v_version from ducto.credit_pricing_config c where c.active;
    select p.* into v_plan from ducto.credit_plans p
    where p.version = v_version and p.plan_key = p_plan_key;
    v_price := ducto.price_usage(v_version, p_plan_key, p_metrics);
    v_cost := (v_price -> 'cost')::numeric;
    v_used := coalesce(v_plan.free_allowance <= v_cost, false);
    v_allowance := case when v_used then 0 else coalesce(v_plan.free_allowance, 0) end;
    v_lots := nextval(pg_get_serial_sequence('ducto.credit_lots', 'lot_id'));
    v_entries := nextval(pg_get_serial_sequence('ducto.credit_transactions', 'id'));

    insert into ducto.credit_accounts (
        account_id, plan_key, plan_since, allowance_until, allowance_version, has_caps, created_at,
        balance, allowance, held, granted, stale_at
    )
    select p_prefix || n, p_plan_key, v_month.period_start,
        case when p_plan_key is not null then v_month.period_end end,
        case when p_plan_key is not null then v_version end,
        p_caps is not null, v_month.period_start, v_purchase, v_allowance, p_holds, v_purchase,
        least(
            case when v_allowance > 0 then v_month.period_end end,
            case when p_lots > 1 then v_month.period_start + interval '8761 hours' end,
            case when p_holds > 0 then v_until end,
            'infinity'
        )
    from generate_series(1, p_count) n;

    insert into ducto.credit_lots (
        account_id, lot_id, kind, category, amount, remaining, effective_at, expires_at,
        transaction_id, created_at
    )
    overriding system value
    select p_prefix || n, v_lots + (n - 1) * p_lots + l, 'purchase', 'paid', v_purchase / p_lots,
        v_purchase / p_lots, v_month.period_start,
        case when p_lots > 1 then v_month.period_start + interval '8760 hours' + make_interval(
            hours => l
        ) end,
        v_entries + (n - 1) * p_lots + l, v_month.period_start
    from generate_series(1, p_count) n
    cross join generate_series(1, p_lots) l;

    insert into ducto.credit_transactions (
        id, account_id, actor_id, type, amount, balance_after, allocations, created_at
    )
    overriding system value
    select l.transaction_id, l.account_id, l.account_id, 'purchase', l.amount,
        sum(l.amount) over (partition by l.account_id order by l.lot_id),
        jsonb_build_array(jsonb_build_object('lot', l.lot_id, 'amount', trim_scale(l.amount))),
        l.created_at
    from ducto.credit_lots l
    where l.lot_id > v_lots
    order by l.lot_id;

    insert into ducto.credit_lots (
        account_id, lot_id, kind, category, amount, remaining, live, effective_at, expires_at,
        plan_key, period_start, created_at
    )
    overriding system value
    select p_prefix || n, v_lots + p_count * p_lots + n, 'allowance', 'promotional',
        v_plan.free_allowance, v_allowance, not v_used, v_month.period_start, v_month.period_end,
        p_plan_key, v_month.period_start, v_month.period_start
    from generate_series(1, p_count) n
    where p_plan_key is not null;

    insert into ducto.credit_transactions (
        id, account_id, actor_id, type, amount, balance_after, allowance_consumed, lot_id, metrics,
        model, breakdown, pricing_version, plan_key, created_at
    )
    overriding system value
    select v_entries + p_count * p_lots + n, p_prefix || n, p_prefix || n, 'usage', 0, v_purchase,
        v_cost, v_lots + p_count * p_lots + n, p_metrics, p_metrics ->> 'model',
        nullif(v_price -> 'breakdown', ducto.plain_breakdown(p_metrics, v_cost)), v_version,
        p_plan_key, v_month.period_start
    from generate_series(1, p_count) n
    where v_used;

    insert into ducto.credit_spend_caps (
        account_id, cap_type, model, amount_limit, window_start, window_end, held, created_at
    )
    select p_prefix || n, t.cap_type, p_caps, 1000000000, w.period_start, w.period_end, p_holds,
        v_month.period_start
    from generate_series(1, p_count) n
    cross join unnest(array['daily', 'monthly']) t (cap_type)
    cross join ducto.period(t.cap_type, ducto.now()) w
    where p_caps is not null;

    insert into ducto.credit_reservations (
        account_id, actor_id, amount, held, capped, model, expires_at, pricing_version, plan_key,
        created_at
    )
    select p_prefix || n, p_prefix || n, 1, 1, case when p_caps is null then 0 else 1 end,
        p_metrics ->> 'model', v_until, v_version, p_plan_key, v_month.period_start
    from generate_series(1, p_count) n
    cross join generate_series(1, p_holds) h;

    perform setval(
        pg_get_serial_sequence('ducto.credit_lots', 'lot_id'), v_lots + p_count * (p_lots + 1) + 1
    );
    perform setval(
        pg_get_serial_sequence('ducto.credit_transactions', 'id'),
        v_entries + p_count * (p_lots + 1) + 1
    );
end
$$;

-- Opens the headroom of the accounts of a prefix, as a charge in full does at its end.
create function bench.open_accounts(p_prefix text, p_metrics jsonb)
returns void
language plpgsql
as $$
declare
    v_account ducto.account;
    v_terms ducto.terms;
begin
    for v_account in
        select a.* from ducto.credit_accounts a where starts_with(a.account_id, p_prefix)
    loop
        v_terms := ducto.read_terms(v_account, null, ducto.now());
        perform ducto.open_headroom(
            v_account, v_terms,
            ducto.cap_models(v_terms.version, v_terms.plan_key, p_metrics ->> 'model'),
            ducto.now()
        );
    end loop;
end
$$;

-- Closes the headroom of the accounts of a prefix, as every operation but a charge does first.
create function bench.close_accounts(p_prefix text)
returns void
language plpgsql
as $$
begin
    perform ducto.lock_account(a.account_id)
    from (
        select c.account_id from ducto.credit_accounts c
        where starts_with(c.account_id, p_prefix)
        offset 0
    ) a;
end
$$;

-- The month so far of the accounts of a prefix: so many charges each, evenly spread until now.
-- Their headroom is still closed.
create function bench.add_charges(p_prefix text, p_count integer, p_metrics jsonb)
returns void
language plpgsql
as $$
declare
    v_start timestamptz;
    v_version integer;
    v_price jsonb;
    v_cost numeric;
    v_plan_key text;
    v_accounts integer;
    v_entries bigint := nextval(pg_get_serial_sequence('ducto.credit_transactions', 'id'));
begin
    select p.period_start into v_start from ducto.period('monthly', ducto.now()) p;
    select c.version into v_version from ducto.credit_pricing_config c where c.active;
    select count(*), min(a.plan_key) into v_accounts, v_plan_key
    from ducto.credit_accounts a where starts_with(a.account_id, p_prefix);
    v_price := ducto.price_usage(v_version, v_plan_key, p_metrics);
    v_cost := (v_price -> 'cost')::numeric;

    insert into ducto.credit_transactions (
        id, account_id, actor_id, type, amount, balance_after, lot_id, metrics, model, breakdown,
        pricing_version, plan_key, idempotency_key, created_at
    )
    overriding system value
    select v_entries + (c - 1) * v_accounts + l.place, l.account_id, l.account_id, 'usage',
        -v_cost, l.amount - c * v_cost, l.lot_id, p_metrics, p_metrics ->> 'model',
        nullif(v_price -> 'breakdown', ducto.plain_breakdown(p_metrics, v_cost)), v_version,
        v_plan_key, 'history ' || c, v_start + (ducto.now() - v_start) * c / p_count
    from generate_series(1, p_count) c
    cross join (
        select k.account_id, k.lot_id, k.amount, row_number() over (order by k.lot_id) as place
        from ducto.credit_lots k
        where k.kind = 'purchase' and starts_with(k.account_id, p_prefix)
    ) l
    order by c, l.place;

    update ducto.credit_lots l set remaining = l.amount - p_count * v_cost
    where l.kind = 'purchase' and starts_with(l.account_id, p_prefix);
    update ducto.credit_accounts a set
        balance = a.balance - p_count * v_cost, spent = a.spent + p_count * v_cost
    where starts_with(a.account_id, p_prefix);
    update ducto.credit_spend_caps c set
        spent = ducto.spent_since(c.account_id, c.model, c.window_start)
    where starts_with(c.account_id, p_prefix);
    perform setval(
        pg_get_serial_sequence('ducto.credit_transactions', 'id'),
        v_entries + p_count::bigint * v_accounts
    );
end
$$;

-- Batches of 100 charges, each charge with a key of its own: of one account, or of 100.
create table bench.batches (
    kind text,
    id bigint,
    charges jsonb not null,
    primary key (kind, id)
);
create sequence bench.next_one;
create sequence bench.next_hundred;

create function bench.add_batches(
    p_prefix text,
    p_accounts integer,
    p_count integer,
    p_metrics jsonb
)
returns void
language sql
as $$
    insert into bench.batches (kind, id, charges)
    select k.kind, b.id, jsonb_agg(jsonb_build_object(
        'user_id', p_prefix || 1 + mod(b.place + case k.kind when 'one' then 0 else c end,
            p_accounts),
        'metrics', p_metrics,
        'idempotency_key', format('batch %s/%s/%s', k.kind, b.id, c)
    ))
    from (
        select id, floor(random() * p_accounts)::integer as place
        from generate_series(1, p_count) id
    ) b
    cross join unnest(array['one', 'hundred']) k (kind)
    cross join generate_series(1, 100) c
    group by k.kind, b.id
$$;

-- Charges accounts in turn, so that each is charged once.
create sequence bench.next_account;

-- Accounts in bulk, as the API would have left them: every grant has its ledger entry, every spent
-- credit its charge, every running total its entries, so that ducto_check() finds nothing.
-- Run by a superuser with session_replication_role = replica, which skips the triggers that the
-- rows satisfy by construction.
create schema bench;

-- Accounts <prefix>1 to <prefix>n, each with a purchase. With a plan: also two caps and the
-- allowance of this month, which is untouched, or used up by one charge where it is as small.
create function bench.add_accounts(
    p_prefix text,
    p_count integer,
    p_plan_key text,
    p_metrics jsonb
)
returns void
language plpgsql
as $$
declare
    v_purchase numeric := 1000000;
    v_month record;
    v_plan ducto.credit_plans;
    v_version integer;
    v_price jsonb;
    v_cost numeric;
    v_lots bigint;
    v_entries bigint;
begin
    select p.period_start, p.period_end into v_month from ducto.period('monthly', ducto.now()) p;
    select c.version into v_version from ducto.credit_pricing_config c where c.active;
    select p.* into v_plan from ducto.credit_plans p
    where p.version = v_version and p.plan_key = p_plan_key;
    v_price := ducto.price_usage(v_version, p_plan_key, p_metrics);
    v_cost := (v_price -> 'cost')::numeric;
    v_lots := nextval(pg_get_serial_sequence('ducto.credit_lots', 'lot_id'));
    v_entries := nextval(pg_get_serial_sequence('ducto.credit_transactions', 'id'));

    insert into ducto.credit_accounts (
        account_id, plan_key, plan_since, allowance_until, allowance_version, has_caps, created_at
    )
    select p_prefix || n, p_plan_key, v_month.period_start,
        case when p_plan_key is not null then v_month.period_end end,
        case when p_plan_key is not null then v_version end,
        p_plan_key is not null, v_month.period_start
    from generate_series(1, p_count) n;

    insert into ducto.credit_lots (
        account_id, lot_id, kind, category, amount, remaining, effective_at, transaction_id,
        created_at
    )
    overriding system value
    select p_prefix || n, v_lots + n, 'purchase', 'paid', v_purchase, v_purchase,
        v_month.period_start, v_entries + n, v_month.period_start
    from generate_series(1, p_count) n;

    insert into ducto.credit_transactions (
        id, account_id, actor_id, type, amount, balance_after, allocations, created_at
    )
    overriding system value
    select v_entries + n, p_prefix || n, p_prefix || n, 'purchase', v_purchase, v_purchase,
        jsonb_build_array(jsonb_build_object('lot', v_lots + n, 'amount', v_purchase)),
        v_month.period_start
    from generate_series(1, p_count) n;

    if p_plan_key is not null then
        insert into ducto.credit_lots (
            account_id, lot_id, kind, category, amount, remaining, live, effective_at, expires_at,
            plan_key, period_start, created_at
        )
        overriding system value
        select p_prefix || n, v_lots + p_count + n, 'allowance', 'promotional',
            v_plan.free_allowance,
            case when v_plan.free_allowance > v_cost then v_plan.free_allowance else 0 end,
            v_plan.free_allowance > v_cost, v_month.period_start, v_month.period_end,
            p_plan_key, v_month.period_start, v_month.period_start
        from generate_series(1, p_count) n;

        insert into ducto.credit_spend_caps (
            account_id, cap_type, amount_limit, window_start, window_end, created_at
        )
        select p_prefix || n, t.cap_type, 1000000000, w.period_start, w.period_end,
            v_month.period_start
        from generate_series(1, p_count) n
        cross join unnest(array['daily', 'monthly']) t (cap_type)
        cross join ducto.period(t.cap_type, ducto.now()) w;
    end if;

    if v_plan.free_allowance <= v_cost then
        insert into ducto.credit_transactions (
            id, account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, allocations, metrics, model, breakdown, pricing_version, plan_key,
            created_at
        )
        overriding system value
        select v_entries + p_count + n, p_prefix || n, p_prefix || n, 'usage', 0, v_purchase,
            v_purchase, v_cost,
            jsonb_build_array(
                jsonb_build_object('lot', v_lots + p_count + n, 'amount', -trim_scale(v_cost))
            ),
            p_metrics, p_metrics ->> 'model', v_price -> 'breakdown', v_version, p_plan_key,
            v_month.period_start
        from generate_series(1, p_count) n;
    end if;

    perform setval(
        pg_get_serial_sequence('ducto.credit_lots', 'lot_id'), v_lots + 2 * p_count + 1
    );
    perform setval(
        pg_get_serial_sequence('ducto.credit_transactions', 'id'), v_entries + 2 * p_count + 1
    );
end
$$;

-- The month so far of the accounts of a prefix: so many charges each, evenly spread until now.
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
        id, account_id, actor_id, type, amount, balance_after, available_after, allocations,
        metrics, model, breakdown, pricing_version, plan_key, idempotency_key, created_at
    )
    overriding system value
    select v_entries + (c - 1) * v_accounts + l.place, l.account_id, l.account_id, 'usage',
        -v_cost, l.amount - c * v_cost, l.amount - c * v_cost,
        jsonb_build_array(jsonb_build_object('lot', l.lot_id, 'amount', -trim_scale(v_cost))),
        p_metrics, p_metrics ->> 'model', v_price -> 'breakdown', v_version, v_plan_key,
        'history ' || c, v_start + (ducto.now() - v_start) * c / p_count
    from generate_series(1, p_count) c
    cross join (
        select k.account_id, k.lot_id, k.amount, row_number() over (order by k.lot_id) as place
        from ducto.credit_lots k
        where k.kind = 'purchase' and starts_with(k.account_id, p_prefix)
    ) l
    order by c, l.place;

    update ducto.credit_lots l set remaining = l.amount - p_count * v_cost
    where l.kind = 'purchase' and starts_with(l.account_id, p_prefix);
    update ducto.credit_spend_caps c set
        spent = ducto.spent_since(c.account_id, c.model, c.window_start)
    where starts_with(c.account_id, p_prefix);
    perform setval(
        pg_get_serial_sequence('ducto.credit_transactions', 'id'),
        v_entries + p_count::bigint * v_accounts
    );
end
$$;

-- Batches of 100 charges of random accounts, each charge with a key of its own.
create table bench.batches (
    id bigint primary key,
    charges jsonb not null
);
create sequence bench.next_batch;

create function bench.add_batches(
    p_prefix text,
    p_accounts integer,
    p_count integer,
    p_metrics jsonb
)
returns void
language sql
as $$
    insert into bench.batches (id, charges)
    select b, jsonb_agg(jsonb_build_object(
        'user_id', p_prefix || (1 + floor(random() * p_accounts))::integer,
        'metrics', p_metrics,
        'idempotency_key', format('batch %s/%s', b, c)
    ))
    from generate_series(1, p_count) b
    cross join generate_series(1, 100) c
    group by b
$$;

-- A ledger of many charges, as a product would have written it over some weeks: written in bulk,
-- past the front doors, because what is measured is reading it.
create schema if not exists bench;

-- p_skew: 1 spreads charges evenly over users, 2 gives the busiest tenth a third of them.
create or replace function bench.add_usage(
    p_charges integer, p_days integer, p_users integer, p_skew double precision, p_end timestamptz
)
returns void
language plpgsql
as $$
declare
    v_index record;
    v_again text[] := '{}';
    v_command text;
    v_teams integer := greatest(p_users / 400, 1);
begin
    insert into ducto.credit_accounts (account_id, kind, created_at)
    select 'user_' || n, 'user', p_end from generate_series(1, p_users) n
    union all
    select 'team_' || n, 'team', p_end from generate_series(1, v_teams) n;
    -- Indexes are built afterwards, which takes a fraction of the time.
    for v_index in
        select c.conname, pg_get_constraintdef(c.oid) as definition
        from pg_constraint c
        where c.conrelid = 'ducto.credit_transactions'::regclass and c.contype = 'p'
    loop
        execute format('alter table ducto.credit_transactions drop constraint %I', v_index.conname);
        v_again := v_again || format(
            'alter table ducto.credit_transactions add constraint %I %s',
            v_index.conname, v_index.definition
        );
    end loop;
    for v_index in
        select i.indexname, i.indexdef from pg_indexes i
        where i.schemaname = 'ducto' and i.tablename = 'credit_transactions'
    loop
        execute format('drop index ducto.%I', v_index.indexname);
        v_again := v_again || v_index.indexdef;
    end loop;
    insert into ducto.credit_transactions (
        account_id, actor_id, type, amount, balance_after, allowance_consumed, metrics, model,
        operation, pricing_version, idempotency_key, occurred_at, created_at
    )
    select
        -- One session in ten is paid by a team; every user has one.
        case when s.number % 10 = 0 then 'team_' || (u.number % v_teams + 1)
            else 'user_' || u.number end,
        'user_' || u.number,
        'usage',
        case when n % 7 = 0 then 0 else -0.0001 * (1 + n % 1000) end,
        1000,
        case when n % 7 = 0 then 0.0001 * (1 + n % 1000) else 0 end,
        jsonb_build_object(
            'model', m.name, 'operation', 'operation-' || s.number % 3,
            'input_tokens', 200 + n % 1800, 'output_tokens', 50 + n % 700
        ),
        m.name,
        'operation-' || s.number % 3,
        1,
        'charge ' || n,
        -- One in fifty was reported up to a day late.
        case when n % 50 = 0 then t.at - make_interval(secs => n % 86399) end,
        t.at
    from generate_series(1, p_charges) n
    -- A hundred users are at work at any time, with ten charges each before others follow.
    cross join lateral (values (n / 1000 * 100 + n % 100)) s (number)
    cross join lateral (values (1 + floor(
        p_users * ((hashint8extended(s.number, 1) & 4294967295) / 4294967296.0) ^ p_skew
    )::integer)) u (number)
    -- Each has a favourite model.
    cross join lateral (
        values ('model-' || case when n % 20 = 0 then n / 20 % 8 else (u.number % 8) * (u.number % 2) end)
    ) m (name)
    cross join lateral (
        values (p_end - make_interval(
            secs => (p_days * 86400.0 * (p_charges - n) / p_charges)::double precision
        ))
    ) t (at);
    foreach v_command in array v_again loop
        execute v_command;
    end loop;
    -- One charge in two hundred was given back, half of it.
    insert into ducto.credit_transactions (
        account_id, actor_id, type, amount, balance_after, allowance_consumed, model,
        reference_id, created_at
    )
    select t.account_id, t.actor_id, 'refund', -t.amount / 2, 1000, -t.allowance_consumed / 2,
        t.model, t.id, p_end
    from ducto.credit_transactions t
    where t.id % 200 = 1;
end
$$;

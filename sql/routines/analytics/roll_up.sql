-- Adds the entries of a range of ids that are not in the rollup yet, and writes down that they are.
-- One statement: what it reads, what it sums and what it marks are the same entries.
create or replace function ducto.roll_up(
    p_after bigint,
    p_to bigint,
    out entries bigint,
    out first_at timestamptz,
    out last_at timestamptz
)
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set work_mem = '128MB'
as $$
    with fresh as materialized (
        select e.*, date_trunc('hour', e.happened_at, 'UTC') as hour_at
        from ducto.credit_usage_entries e
        left join ducto.credit_usage_watermarks w on w.account_id = e.account_id
        where e.id > p_after and e.id <= p_to and e.id > coalesce(w.rolled_id, 0)
    ), watermarks as (
        insert into ducto.credit_usage_watermarks as w (account_id, rolled_id)
        select f.account_id, max(f.id) from fresh f group by f.account_id
        on conflict (account_id) do update set rolled_id = excluded.rolled_id
    ), places as (
        insert into ducto.credit_usage_places as p (hour_at, block)
        select distinct f.hour_at, f.id / 64 from fresh f
        on conflict do nothing
    ), cells as materialized (
        select f.hour_at, f.account_id, f.actor_id, f.model, f.operation,
            sum(f.charges) as charges, sum(f.spent) as spent,
            sum(f.allowance_consumed) as allowance_consumed, sum(f.refunded) as refunded,
            sum(f.input_tokens) as input_tokens, sum(f.output_tokens) as output_tokens,
            sum(f.cache_read_tokens) as cache_read_tokens,
            sum(f.cache_write_tokens) as cache_write_tokens
        from fresh f
        group by f.hour_at, f.account_id, f.actor_id, f.model, f.operation
    ), rollup as (
        insert into ducto.credit_usage_rollup as r
        select l.scope, l.hours, date_bin(l.span, c.hour_at, l.origin),
            case when l.scope = 'model' then '' else c.account_id end,
            case when l.scope = 'model' then '' else c.actor_id end,
            case when l.scope = 'user' then '' else c.model end,
            case when l.scope = 'user' then '' else c.operation end,
            sum(c.charges), sum(c.spent), sum(c.allowance_consumed), sum(c.refunded),
            sum(c.input_tokens), sum(c.output_tokens), sum(c.cache_read_tokens),
            sum(c.cache_write_tokens)
        from cells c cross join ducto.usage_ladder() l
        group by 1, 2, 3, 4, 5, 6, 7
        -- In the order in which reports read them.
        order by 1, 2, 3
        on conflict (scope, hours, start_at, account_id, actor_id, model, operation)
        do update set
            charges = r.charges + excluded.charges,
            spent = r.spent + excluded.spent,
            allowance_consumed = r.allowance_consumed + excluded.allowance_consumed,
            refunded = r.refunded + excluded.refunded,
            input_tokens = r.input_tokens + excluded.input_tokens,
            output_tokens = r.output_tokens + excluded.output_tokens,
            cache_read_tokens = r.cache_read_tokens + excluded.cache_read_tokens,
            cache_write_tokens = r.cache_write_tokens + excluded.cache_write_tokens
    )
    select count(*), min(f.happened_at), max(f.happened_at) from fresh f;
$$;

-- Usage of a window, summed: spans of the rollup, what the ledger holds at the window's edges, and
-- what is not rolled up yet. Stable, so that all three are seen at one instant. Planned for each
-- call, because a plan for some window and grouping is a bad one for another; by bitmaps, because
-- the rows of a span are far more than the planner can know, and lie together.
create or replace function ducto.usage_totals(
    p_start timestamptz,
    p_end timestamptz,
    p_by text[],
    p_bucket text default null,
    p_sums boolean default true
)
returns table (
    bucket_at timestamptz, account_id text, actor_id text, model text, operation text,
    spent numeric, allowance_consumed numeric, refunded numeric, charges bigint,
    input_tokens numeric, output_tokens numeric, cache_read_tokens numeric,
    cache_write_tokens numeric
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set jit = off
set enable_indexscan = off
set work_mem = '64MB'
as $$
declare
    -- The part of the rollup with the fewest rows that keeps apart what is asked for.
    v_scope constant text := case
        when p_by && '{account,user}' and p_by && '{model,operation}' then 'detail'
        when p_by && '{account,user}' then 'user'
        else 'model'
    end;
    v_state ducto.credit_usage_state;
begin
    select s.* into v_state from ducto.credit_usage_state s;
    return query
    with blocks as materialized (
        select b.* from ducto.usage_blocks(v_state, v_scope, p_start, p_end, p_bucket) b
    ), parts as (
        select null::bigint, r.account_id, r.actor_id, r.start_at as happened_at, r.model,
            r.operation, r.charges, r.spent, r.allowance_consumed, r.refunded,
            r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_tokens
        from blocks b
        cross join lateral (
            select s.* from ducto.credit_usage_rollup s
            where s.scope = v_scope and s.hours = b.hours
                and s.start_at >= b.from_at and s.start_at < b.to_at
            offset 0
        ) r
        union all
        select e.*
        from blocks b
        cross join ducto.usage_edges(v_state, b.from_at, b.to_at) e
        where b.hours = 0
        union all
        select e.*
        from ducto.usage_tail(v_state.settled_id) e
        where e.happened_at >= p_start and e.happened_at < p_end
    )
    select
        date_trunc(p_bucket, p.happened_at, 'UTC'),
        case when 'account' = any (p_by) then p.account_id end,
        case when 'user' = any (p_by) then p.actor_id end,
        case when 'model' = any (p_by) then nullif(p.model, '') end,
        case when 'operation' = any (p_by) then nullif(p.operation, '') end,
        sum(case when p_sums then p.spent end), sum(case when p_sums then p.allowance_consumed end),
        sum(case when p_sums then p.refunded end), sum(p.charges)::bigint,
        sum(case when p_sums then p.input_tokens end),
        sum(case when p_sums then p.output_tokens end),
        sum(case when p_sums then p.cache_read_tokens end),
        sum(case when p_sums then p.cache_write_tokens end)
    from parts p
    group by 1, 2, 3, 4, 5;
end
$$;
comment on function ducto.usage_totals(timestamptz, timestamptz, text[], text, boolean) is
    'p_by: any of account, user, model, operation; p_bucket: day, week or month, null: none; '
    'p_sums false: only who, and how many charges.';

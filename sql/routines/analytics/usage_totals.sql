-- Usage of a window, summed: spans of the rollup, what the ledger holds at the window's edges, and
-- what is not rolled up yet. Stable, so that all three are seen at one instant. Planned for each
-- call, because a plan for some window and grouping is a bad one for another; by bitmaps and
-- hashes, because the rows of a span are far more than the planner can know, and lie together.
create or replace function ducto.usage_totals(
    p_start timestamptz,
    p_end timestamptz,
    p_by text[],
    p_bucket text default null,
    p_sums boolean default true
)
returns table (
    bucket_at timestamptz, team_id text, actor_id text, model text, operation text,
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
set enable_sort = off
set work_mem = '128MB'
as $$
begin
    return query
    with reads as materialized (
        select r.* from ducto.usage_reads(p_by, p_start, p_end, p_bucket) r
    )
    select
        date_trunc(p_bucket, p.happened_at, 'UTC'),
        case when 'team' = any (p_by) then nullif(p.team_id, '') end,
        case when 'user' = any (p_by) then p.actor_id end,
        case when 'model' = any (p_by) then nullif(p.model, '') end,
        case when 'operation' = any (p_by) then nullif(p.operation, '') end,
        sum(p.spent) filter (where p_sums), sum(p.allowance_consumed) filter (where p_sums),
        sum(p.refunded) filter (where p_sums), sum(p.charges)::bigint,
        sum(p.input_tokens) filter (where p_sums), sum(p.output_tokens) filter (where p_sums),
        sum(p.cache_read_tokens) filter (where p_sums),
        sum(p.cache_write_tokens) filter (where p_sums)
    from (
        select null::bigint, null::text, case when b.is_by_team then r.team_id else '' end
            as team_id, r.actor_id, r.start_at as happened_at, r.model, r.operation,
            case b.sign when 1 then r.charges else -r.charges end as charges,
            case b.sign when 1 then r.spent else -r.spent end as spent,
            case b.sign when 1 then r.allowance_consumed else -r.allowance_consumed end
                as allowance_consumed,
            case b.sign when 1 then r.refunded else -r.refunded end as refunded,
            case b.sign when 1 then r.input_tokens else -r.input_tokens end as input_tokens,
            case b.sign when 1 then r.output_tokens else -r.output_tokens end as output_tokens,
            case b.sign when 1 then r.cache_read_tokens else -r.cache_read_tokens end
                as cache_read_tokens,
            case b.sign when 1 then r.cache_write_tokens else -r.cache_write_tokens end
                as cache_write_tokens
        from reads b
        cross join lateral (
            select s.* from ducto.credit_usage_rollup s
            where s.scope = b.scope and s.hours = b.hours
                and s.start_at >= b.from_at and s.start_at < b.to_at
            offset 0
        ) r
        union all
        select e.*
        from reads b cross join ducto.usage_edges(b.from_at, b.to_at, b.sign) e
        where b.hours = 0
        union all
        select e.*
        from ducto.usage_tail() e
        where e.happened_at >= p_start and e.happened_at < p_end
    ) p
    group by 1, 2, 3, 4, 5
    -- Who has none left after what was too much: used nothing in the window.
    having sum(p.charges) > 0;
end
$$;
comment on function ducto.usage_totals(timestamptz, timestamptz, text[], text, boolean) is
    'p_by: any of team, user, model, operation; p_bucket: day, week or month, null: none; '
    'p_sums false: only who, and how many charges.';

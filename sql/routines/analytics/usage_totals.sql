-- Usage of a window, summed, as reports show it: most spent first. Stable, so that the rollup, the
-- window's edges and what is not rolled up yet are seen at one instant. Who has no charge left, of
-- what went too far and was taken back, used nothing in the window. Comparing is told to be cheap:
-- users that are read in order are summed one by one, in three quarters of the time of a hash.
create or replace function ducto.usage_totals(
    p_start timestamptz,
    p_end timestamptz,
    p_by text[] default '{}',
    p_bucket text default null,
    p_limit integer default null
)
returns setof ducto.usage_sum
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
set work_mem = '128MB'
set cpu_operator_cost = 0.001
as $$
declare
    c_sums constant text[] := array[
        'spent', 'allowance_consumed', 'refunded', 'charges', 'input_tokens', 'output_tokens',
        'cache_read_tokens', 'cache_write_tokens'
    ];
    v_shown text[];
    v_groups text[];
    v_read text[];
begin
    select
        array_agg(
            case when k.is_key then k.shown when k.place = 1 then 'null::date' else 'null' end
            order by k.place
        ),
        array_agg(case when k.place = 1 then '1' else k.name end) filter (where k.is_key),
        coalesce(array_agg(k.name) filter (where k.is_key), '{}')
    into v_shown, v_groups, v_read
    from (
        select n.place, n.is_key, n.name, case n.place
            when 1 then format(
                '(date_trunc(%L, happened_at, ''UTC'') at time zone ''UTC'')::date', p_bucket
            ) else format('nullif(%I, '''') collate "default"', n.name) end as shown
        from (
            values (1, p_bucket is not null, 'happened_at'), (2, 'user' = any (p_by), 'actor_id'),
                (3, 'team' = any (p_by), 'team_id'), (4, 'model' = any (p_by), 'model'),
                (5, 'operation' = any (p_by), 'operation')
        ) n (place, is_key, name)
    ) k;
    return query execute format(
        'select %s, trim_scale(sum(spent)), trim_scale(sum(allowance_consumed)),'
        ' trim_scale(sum(refunded)), trim_scale(sum(spent) + sum(allowance_consumed)),'
        ' sum(charges)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint,'
        ' sum(cache_read_tokens)::bigint, sum(cache_write_tokens)::bigint'
        ' from (%s) u group by %s having sum(charges) > 0'
        ' order by 1, sum(spent) desc, sum(spent) + sum(allowance_consumed) desc, 2, 3, 4, 5'
        ' limit %L',
        array_to_string(v_shown, ', '),
        ducto.usage_parts(p_start, p_end, p_by, v_read || c_sums),
        coalesce(array_to_string(v_groups, ', '), '()'),
        p_limit
    );
end
$$;
comment on function ducto.usage_totals(timestamptz, timestamptz, text[], text, integer) is
    'p_by: any of user, team, model, operation; p_bucket: day, week or month, null: none; '
    'p_limit null: all rows.';

-- What a report sums, as a statement: what is not rolled up yet, each span of the rollup, and what
-- the ledger holds at the window's edges. A text, because a planner that knows which spans they are
-- can read them in the order of their users, and sum one user at a time; for that it must have no
-- column that nobody reads. In it are names of columns, the callers' own, and times, written in one
-- form whatever the session's settings are.
create or replace function ducto.usage_parts(
    p_start timestamptz,
    p_end timestamptz,
    p_by text[],
    p_columns text[]
)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO'
set timezone = 'UTC'
set jit = off
as $$
declare
    v_bucket constant text := case when 'happened_at' = any (p_columns) then 'day' end;
    -- Where users alone are told apart: a span has one row of each, and its key has their order.
    v_in_order constant boolean :=
        v_bucket is null and p_by <@ array['user'] and p_by <> array[]::text[];
    v_parts text[];
begin
    select array_agg(format('select %s from %s', c.columns, case
        when b.hours = 0 then format('ducto.usage_edges(%L, %L)', b.from_at, b.to_at)
        else format(
            'ducto.credit_usage_rollup where scope = %L and hours = %s and %s', b.scope, b.hours,
            case when s.start_at is null
                then format('start_at >= %L and start_at < %L', b.from_at, b.to_at)
                else format('start_at = %L and team_id = %L', s.start_at, '')
            end
        )
    end)) into v_parts
    from ducto.usage_reads(p_by, p_start, p_end, v_bucket) b
    left join lateral generate_series(
        b.from_at, b.to_at - interval '1 hour', make_interval(hours => nullif(b.hours, 0))
    ) s (start_at) on v_in_order
    cross join lateral (
        select string_agg(case
            when n.name = 'happened_at' and b.hours > 0 then 'start_at'
            when n.name = 'team_id' and not b.is_by_team then '''''::text'
            when n.name in ('happened_at', 'team_id', 'actor_id', 'model', 'operation')
                or b.sign = 1 then n.name
            else '-' || n.name
        end, ', ')
        from unnest(p_columns) n (name)
    ) c (columns);
    v_parts := format(
        'select %s from ducto.usage_tail() where happened_at >= %L and happened_at < %L',
        array_to_string(p_columns, ', '), p_start, p_end
    ) || v_parts;
    return '(' || array_to_string(
        v_parts,
        case when v_in_order then ' order by actor_id) union all (' else ') union all (' end
    ) || case when v_in_order then ' order by actor_id)' else ')' end;
end
$$;
comment on function ducto.usage_parts(timestamptz, timestamptz, text[], text[]) is
    'p_by: any of user, team, model, operation; p_columns: those of ducto.usage_entry that the '
    'caller reads, with happened_at where days are told apart.';

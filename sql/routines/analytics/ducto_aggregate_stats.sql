create or replace function public.ducto_aggregate_stats(p_start timestamptz, p_end timestamptz)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure jsonb := ducto.check_window(p_start, p_end);
    v_result jsonb;
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    select jsonb_build_object(
        'start', p_start,
        'end', p_end,
        'spent', coalesce(u.spent, 0),
        'allowance_consumed', coalesce(u.allowance_consumed, 0),
        'refunded', coalesce(u.refunded, 0),
        'cost', coalesce(u.cost, 0),
        'charges', coalesce(u.charges, 0),
        'input_tokens', coalesce(u.input_tokens, 0),
        'output_tokens', coalesce(u.output_tokens, 0),
        'cache_read_tokens', coalesce(u.cache_read_tokens, 0),
        'cache_write_tokens', coalesce(u.cache_write_tokens, 0),
        'rollup', ducto.usage_lag()
    ) into v_result
    from (values (true)) always (one)
    left join ducto.usage_totals(p_start, p_end) u on always.one;
    return v_result || jsonb_build_object(
        'users', ducto.count_usage(p_start, p_end, 'user'),
        'teams', ducto.count_usage(p_start, p_end, 'team')
    );
end
$$;
comment on function public.ducto_aggregate_stats(timestamptz, timestamptz) is
    'Totals of the usage from p_start to before p_end, how many users and teams it was, and how '
    'far behind the rollup is: when it last caught up (rollup.rolled_up_at, null: never) and how '
    'many charges and refunds are read one by one until it does (rollup.entries_behind). '
    'Errors: DU017. Callers: service, admin, reader.';

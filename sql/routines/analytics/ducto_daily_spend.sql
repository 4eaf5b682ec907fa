create or replace function public.ducto_daily_spend(
    p_start timestamptz,
    p_end timestamptz
)
returns table (
    day date,
    spent numeric,
    allowance_consumed numeric,
    refunded numeric,
    cost numeric,
    charges bigint,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_write_tokens bigint
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure jsonb := ducto.check_window(p_start, p_end);
    v_first date := (p_start at time zone 'UTC')::date;
    v_last date;
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_last := ((p_end - interval '1 microsecond') at time zone 'UTC')::date;
    return query
    select
        v_first + d.number,
        coalesce(u.spent, 0), coalesce(u.allowance_consumed, 0), coalesce(u.refunded, 0),
        coalesce(u.cost, 0), coalesce(u.charges, 0), coalesce(u.input_tokens, 0),
        coalesce(u.output_tokens, 0), coalesce(u.cache_read_tokens, 0),
        coalesce(u.cache_write_tokens, 0)
    from generate_series(0, v_last - v_first) d (number)
    left join ducto.usage_totals(p_start, p_end, '{}', 'day') u
        on u.bucket = v_first + d.number
    order by 1;
end
$$;
comment on function public.ducto_daily_spend(timestamptz, timestamptz) is
    'What was used on each UTC day that the window touches, from p_start to before p_end; days '
    'without any are there, with zero. Errors: DU017. Callers: service, admin, reader.';

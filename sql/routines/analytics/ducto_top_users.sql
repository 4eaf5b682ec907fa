create or replace function public.ducto_top_users(
    p_limit integer,
    p_start timestamptz,
    p_end timestamptz
)
returns table (
    user_id text,
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
begin
    if coalesce(p_limit, 0) not between 1 and 1000 then
        v_failure := ducto.invalid('p_limit', 'The limit is 1 to 1000.');
    end if;
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    return query
    select u.user_id, u.spent, u.allowance_consumed, u.refunded, u.cost, u.charges, u.input_tokens,
        u.output_tokens, u.cache_read_tokens, u.cache_write_tokens
    from ducto.usage_totals(p_start, p_end, '{user}', p_limit => p_limit) u;
end
$$;
comment on function public.ducto_top_users(integer, timestamptz, timestamptz) is
    'The p_limit (1 to 1000) users who spent most from p_start to before p_end. Errors: DU017. '
    'Callers: service, admin, reader.';

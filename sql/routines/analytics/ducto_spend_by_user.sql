create or replace function public.ducto_spend_by_user(
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
    v_failure constant jsonb := ducto.check_window(p_start, p_end);
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    return query
    select u.user_id, u.spent, u.allowance_consumed, u.refunded, u.cost, u.charges, u.input_tokens,
        u.output_tokens, u.cache_read_tokens, u.cache_write_tokens
    from ducto.usage_totals(p_start, p_end, '{user}') u;
end
$$;
comment on function public.ducto_spend_by_user(timestamptz, timestamptz) is
    'What each user used from p_start to before p_end, teams'' credits included, most spent first. '
    'spent is what left balances, allowance_consumed what allowances paid, cost both, all less '
    'refunds, which count against the time of their charge. '
    'Errors: DU017. Callers: service, admin, reader.';

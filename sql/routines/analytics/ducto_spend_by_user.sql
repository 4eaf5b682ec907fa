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
    input_tokens numeric,
    output_tokens numeric,
    cache_read_tokens numeric,
    cache_write_tokens numeric
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure jsonb := ducto.check_window(p_start, p_end);
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    return query
    select
        u.actor_id,
        trim_scale(u.spent), trim_scale(u.allowance_consumed),
        trim_scale(u.refunded), trim_scale(u.spent + u.allowance_consumed),
        u.charges, u.input_tokens, u.output_tokens,
        u.cache_read_tokens, u.cache_write_tokens
    from ducto.usage_totals(p_start, p_end, '{user}') u
    order by u.spent desc, u.spent + u.allowance_consumed desc, u.actor_id;
end
$$;
comment on function public.ducto_spend_by_user(timestamptz, timestamptz) is
    'What each user used from p_start to before p_end, teams'' credits included, most spent first. '
    'spent is what left balances, allowance_consumed what allowances paid, cost both, all less '
    'refunds, which count against the time of their charge. '
    'Errors: DU017. Callers: service, admin, reader.';

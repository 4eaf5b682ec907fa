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
begin
    return query select * from ducto.spend_by(p_start, p_end, 'user');
end
$$;
comment on function public.ducto_spend_by_user(timestamptz, timestamptz) is
    'What each user used from p_start to before p_end, teams'' credits included, most spent first. '
    'spent is what left balances, allowance_consumed what allowances paid, cost both, all less '
    'refunds, which count against the time of their charge. '
    'Errors: DU017. Callers: service, admin, reader.';

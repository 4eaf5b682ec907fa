create or replace function public.ducto_spend_by_model(
    p_start timestamptz,
    p_end timestamptz
)
returns table (
    model text,
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
    return query select * from ducto.spend_by(p_start, p_end, 'model');
end
$$;
comment on function public.ducto_spend_by_model(timestamptz, timestamptz) is
    'What was used of each model from p_start to before p_end, most spent first; model null: no '
    'model was named. Less refunds, which count against the time of their charge. '
    'Errors: DU017. Callers: service, admin, reader.';

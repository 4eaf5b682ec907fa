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
declare
    v_failure jsonb := ducto.check_window(p_start, p_end);
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    return query
    select
        u.model,
        trim_scale(u.spent), trim_scale(u.allowance_consumed),
        trim_scale(u.refunded), trim_scale(u.spent + u.allowance_consumed),
        u.charges, u.input_tokens, u.output_tokens,
        u.cache_read_tokens, u.cache_write_tokens
    from ducto.usage_totals(p_start, p_end, '{model}') u
    order by u.spent desc, u.spent + u.allowance_consumed desc, u.model;
end
$$;
comment on function public.ducto_spend_by_model(timestamptz, timestamptz) is
    'What was used of each model from p_start to before p_end, most spent first; model null: no '
    'model was named. Less refunds, which count against the time of their charge. '
    'Errors: DU017. Callers: service, admin, reader.';

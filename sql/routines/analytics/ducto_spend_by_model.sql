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
    select u.model, u.spent, u.allowance_consumed, u.refunded, u.cost, u.charges, u.input_tokens,
        u.output_tokens, u.cache_read_tokens, u.cache_write_tokens
    from ducto.usage_totals(p_start, p_end, '{model}') u;
end
$$;
comment on function public.ducto_spend_by_model(timestamptz, timestamptz) is
    'What was used of each model from p_start to before p_end, most spent first; model null: no '
    'model was named. Less refunds, which count against the time of their charge. '
    'Errors: DU017. Callers: service, admin, reader.';

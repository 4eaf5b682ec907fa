-- What was used by user or by model, most spent first.
create or replace function ducto.spend_by(
    p_start timestamptz,
    p_end timestamptz,
    p_by text,
    p_limit integer default null
)
returns table (
    name text,
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
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure constant jsonb := ducto.check_window(p_start, p_end);
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    return query
    select
        case p_by when 'user' then u.actor_id else u.model end,
        trim_scale(u.spent), trim_scale(u.allowance_consumed), trim_scale(u.refunded),
        trim_scale(u.spent + u.allowance_consumed), u.charges, u.input_tokens, u.output_tokens,
        u.cache_read_tokens, u.cache_write_tokens
    from ducto.usage_totals(p_start, p_end, array[p_by]) u
    order by u.spent desc, u.spent + u.allowance_consumed desc, 1
    limit p_limit;
end
$$;

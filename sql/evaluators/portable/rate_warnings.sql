-- Prices that typical usage makes nothing, or less, by the rounding of the config too; a discount
-- in the section cache may be less.
create or replace function ducto.rate_warnings(p_config jsonb, p_outcomes jsonb)
returns table (warning jsonb)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_scale smallint := 12::smallint;
    v_rounding text := 'half_up';
begin
    if p_config ? 'scale' and ducto.value_problem('scale', p_config -> 'scale') is null then
        v_scale := (p_config -> 'scale')::smallint;
    end if;
    if p_config ->> 'rounding' in ('half_up', 'half_even', 'ceiling') then
        v_rounding := p_config ->> 'rounding';
    end if;
    return query
        select jsonb_strip_nulls(jsonb_build_object(
            'path', r.path,
            'section', r.section,
            'key', r.key,
            'plan_key', nullif(r.plan_key, ''),
            'code', case when o.price < 0 then 'negative_price' else 'zero_price' end,
            'message', format(
                'the price %s for typical usage (%s)',
                case when o.price < 0 then 'is negative' when o.price = 0 then 'is zero'
                    else 'rounds to zero' end,
                trim_scale(o.price)
            )
        ))
        from ducto.config_rates(p_config) with ordinality r
        cross join lateral (
            select (p_outcomes -> r.expression -> 'price')::numeric
        ) o(price)
        where case when o.price < 0 then r.section <> 'cache'
            else ducto.round_total(o.price, v_scale, v_rounding) = 0 end
        order by r.ordinality;
end
$$;
comment on function ducto.rate_warnings(jsonb, jsonb) is
    'Warnings about the prices of a pricing config.';

-- The one rounding of a price: a negative total is zero; half_up is away from zero.
create or replace function ducto.round_total(p_total numeric, p_scale smallint, p_rounding text)
returns numeric
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_down numeric := trunc(p_total, p_scale);
    v_unit numeric := ('1e-' || p_scale)::numeric;
    v_rest numeric := p_total - v_down;
begin
    return case
        when p_total <= 0 then 0
        when p_rounding = 'half_up' then round(p_total, p_scale)
        when p_rounding = 'ceiling' and v_rest > 0 then v_down + v_unit
        when p_rounding = 'half_even'
            and (2 * v_rest > v_unit or 2 * v_rest = v_unit and mod(v_down, 2 * v_unit) <> 0)
            then v_down + v_unit
        else v_down end;
end
$$;
comment on function ducto.round_total(numeric, smallint, text) is
    'A total rounded to scale: half_up, half_even or ceiling; never negative.';

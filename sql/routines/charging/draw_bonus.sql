-- What a charge draws from a bonus that is due but not yet written, as allocations.
create or replace function ducto.draw_bonus(p_bonus numeric, p_amount numeric)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_allocations jsonb := jsonb_build_array(
        jsonb_build_object('lot', null, 'amount', -trim_scale(least(p_bonus, p_amount)))
    );
begin
    if p_amount > p_bonus then
        v_allocations := v_allocations
            || jsonb_build_object('debt', trim_scale(p_amount - p_bonus));
    end if;
    return v_allocations;
end
$$;

-- Which lots pay p_cost, in the order given, and what is left to become debt. Writes nothing.
create or replace function ducto.draw(p_lots ducto.lot[], p_cost numeric)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
    v_allocations jsonb := '[]';
    v_left numeric := p_cost;
    v_take numeric;
    v_lot ducto.lot;
begin
    if v_left > 0 and p_lots is not null then
        foreach v_lot in array p_lots loop
            v_take := least(v_lot.remaining, v_left);
            v_allocations := v_allocations
                || jsonb_build_object('lot', v_lot.lot_id, 'amount', -trim_scale(v_take));
            v_left := v_left - v_take;
            exit when v_left = 0;
        end loop;
    end if;
    if v_left > 0 then
        v_allocations := v_allocations || jsonb_build_object('debt', trim_scale(v_left));
    end if;
    return v_allocations;
end
$$;
comment on function ducto.draw(ducto.lot[], numeric) is
    'The allocations of a charge: [{"lot": id, "amount": change}, …, {"debt": change}].';

-- graduated(v, t1, r1, ..., rate): each band's part of v times the band's rate, summed; the last
-- rate applies above the last threshold. Null when the thresholds do not ascend.
create or replace function ducto.graduated(p_operands numeric[])
returns numeric
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_value numeric := p_operands[1];
    v_last integer := cardinality(p_operands);
    v_lower numeric := 0::numeric;
    v_upper numeric;
    v_total numeric := 0::numeric;
begin
    for i in 4 .. v_last - 2 by 2 loop
        if p_operands[i - 2] >= p_operands[i] then
            return null;
        end if;
    end loop;
    for i in 2 .. v_last by 2 loop
        v_upper := case when i < v_last then p_operands[i] else v_value end;
        if least(v_value, v_upper) > v_lower then
            v_total := v_total + (least(v_value, v_upper) - v_lower)
                * p_operands[case when i < v_last then i + 1 else i end];
        end if;
        v_lower := greatest(v_lower, v_upper);
    end loop;
    return v_total;
end
$$;
comment on function ducto.graduated(numeric[]) is
    'graduated() of pricing expressions; null when its thresholds do not ascend.';

-- percentile(p, v1, v2, ...): linear interpolation, exact, between the sorted values around rank
-- p/100 * (n - 1). Null when p is not between 0 and 100.
create or replace function ducto.percentile(p_operands numeric[])
returns numeric
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_values numeric[];
    v_rank numeric := p_operands[1] * 0.01 * (cardinality(p_operands) - 2);
    v_index integer;
begin
    if p_operands[1] not between 0 and 100 then
        return null;
    end if;
    v_values := array(select u.value from unnest(p_operands[2:]) u(value) order by u.value);
    v_index := floor(v_rank)::integer;
    if v_rank = v_index then
        return v_values[v_index + 1];
    end if;
    return v_values[v_index + 1]
        + (v_values[v_index + 2] - v_values[v_index + 1]) * (v_rank - v_index);
end
$$;
comment on function ducto.percentile(numeric[]) is
    'percentile() of pricing expressions; the first operand is the percentage.';

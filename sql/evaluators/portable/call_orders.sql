-- A call of a function. Of tier() each threshold is tried in turn, and only the rate of the first
-- one above the value is evaluated; without a default the last rate holds on both sides of the last
-- threshold, so that evaluating it matters only if that can fail.
create or replace function ducto.call_orders(
    p_name text,
    p_node integer,
    p_depth integer,
    p_children integer[],
    p_kinds text[]
)
returns integer[]
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count constant integer := cardinality(p_children);
    v_default constant integer := (v_count + 1) % 2;
    v_last constant integer := p_children[v_count - 1];
    v_orders integer[] := '{}'::integer[];
    v_child integer;
begin
    if p_name = 'if' then
        return ducto.branch_orders(p_node, p_depth, p_children[1], p_children[2], p_children[3]);
    elsif p_name <> 'tier' then
        foreach v_child in array p_children loop
            v_orders := v_orders || array[0, v_child, p_depth];
        end loop;
        if p_name = 'round' and v_count = 1 then
            v_orders := v_orders || '{-6,0,0}';
        end if;
        return v_orders || case p_name
            when 'ceil' then array[22, 0, 0]
            when 'floor' then array[23, 0, 0]
            when 'round' then array[24, 0, 0]
            when 'min' then array[25, v_count, 0]
            when 'max' then array[26, v_count, 0]
            when 'clamp' then array[27, 0, 0]
            when 'percentile' then array[28, v_count, 0]
            when 'graduated' then array[29, v_count, 0] end;
    end if;
    v_orders := array[0, p_children[1], p_depth];
    for i in 2 .. v_count - 2 + v_default by 2 loop
        v_child := p_children[i];
        v_orders := v_orders || array[
            31, 0, 0, 0, v_child, p_depth, 12, 0, 0, 19, 3 * v_child + 2, 0,
            32, 0, 0, 0, p_children[i + 1], p_depth, 18, 3 * p_node, 0, -1, 3 * v_child + 2, 0
        ];
    end loop;
    if v_default = 0 then
        v_orders := v_orders || case when p_kinds[v_last] in ('number', 'name')
            then array[-2, v_last, p_depth]
            else array[0, v_last, p_depth, 32, 0, 0] end;
    end if;
    return v_orders || array[32, 0, 0, 0, p_children[v_count], p_depth, -1, 3 * p_node, 0];
end
$$;
comment on function ducto.call_orders(text, integer, integer, integer[], text[]) is
    'What a call of a function is compiled to.';

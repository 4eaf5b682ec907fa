-- A comparison or a chain of them: `a < b < c` evaluates b once, and c only if a < b.
create or replace function ducto.comparison_orders(
    p_node integer,
    p_depth integer,
    p_children integer[],
    p_operators text[]
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
    v_orders integer[] := array[0, p_children[1], p_depth];
    v_child integer;
    v_operator text;
    v_comparison integer[];
begin
    for i in 2 .. v_count loop
        v_child := p_children[i];
        v_operator := p_operators[v_child];
        v_comparison := array[case v_operator when '<' then 12 when '<=' then 13 when '==' then 14
            when '!=' then 15 when '>=' then 16 when '>' then 17 end, 0, 0];
        v_orders := v_orders || case
            when v_operator in ('in', 'not in') and i < v_count then array[-5, v_child, 0]
            when v_operator = 'in' then array[-4, v_child, p_depth]
            when v_operator = 'not in' then array[-4, v_child, p_depth, 11, 0, 0]
            when i = v_count then array[0, v_child, p_depth] || v_comparison
            else array[0, v_child, p_depth] || '{31,0,0,34,0,0}' || v_comparison
                || array[20, 3 * p_node, 0]
            end;
    end loop;
    if v_count > 2 then
        -- Where a link does not hold, its right side lies under the answer and is dropped.
        v_orders := v_orders || array[
            18, 3 * p_node + 1, 0, -1, 3 * p_node, 0, 33, 0, 0, 32, 0, 0, -1, 3 * p_node + 1, 0
        ];
    end if;
    return v_orders;
end
$$;
comment on function ducto.comparison_orders(integer, integer, integer[], text[]) is
    'What a chain of comparisons is compiled to.';

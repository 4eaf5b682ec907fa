-- What a node of an expression comes to: orders for ducto.emit_program, its parts at the depth
-- below it. Labels are numbered by nodes: each has two of its own, and one that its parent sets.
create or replace function ducto.node_orders(
    p_kind text,
    p_word text,
    p_node integer,
    p_depth integer,
    p_children integer[],
    p_kinds text[],
    p_operators text[]
)
returns integer[]
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count constant integer := cardinality(p_children);
    v_first integer := p_children[1];
    v_orders integer[] := '{}'::integer[];
begin
    case p_kind
        when 'unary' then
            return array[0, v_first, p_depth] || case p_word
                when '-' then '{10,0,0}' when 'not' then '{11,0,0}' else '{}' end::integer[];
        when 'binary' then
            -- A chain `a + b + c` is one level deep, however long: it nests nothing.
            return array[
                0, v_first, case p_kinds[v_first] when 'binary' then p_depth - 1 else p_depth end
            ] || case when p_word = '**' then array[-3, p_children[2], 1]
                else array[0, p_children[2], p_depth, case p_word
                    when '+' then 3 when '-' then 4 when '*' then 5 when '/' then 6
                    when '//' then 7 else 8 end, 0, 0]
                end;
        when 'and', 'or' then
            for i in 1 .. v_count - 1 loop
                v_orders := v_orders || array[
                    0, p_children[i], p_depth, case p_kind when 'and' then 20 else 21 end,
                    3 * p_node, 0
                ];
            end loop;
            return v_orders || array[0, p_children[v_count], p_depth, -1, 3 * p_node, 0];
        when 'if' then
            return ducto.branch_orders(
                p_node, p_depth, p_children[2], v_first, p_children[3]
            );
        when 'compare' then
            return ducto.comparison_orders(p_node, p_depth, p_children, p_operators);
        when 'list' then
            foreach v_first in array p_children loop
                v_orders := v_orders || array[0, v_first, p_depth];
            end loop;
            return v_orders || array[30, v_count, 0];
        else
            return ducto.call_orders(p_word, p_node, p_depth, p_children, p_kinds);
    end case;
end
$$;
comment on function ducto.node_orders(
    text, text, integer, integer, integer[], text[], text[]
) is
    'What a node of an expression is compiled to.';

-- The third gate of the compiler: walks the tree from its root and writes the program. What is
-- still to be done is a stack of orders, three numbers each: an instruction and its argument, or
-- one of those below with a node and its depth. A node is replaced by the orders that it comes to
-- (ducto.node_orders), so that every refusal comes in its turn.
--
--    0 a node     -1 a label: jumps to it arrive here     -2 a node whose value is not needed
--   -3 the exponent of **     -4 the members of `in`     -5 an `in` that is not last     -6 a zero
create or replace function ducto.emit_program(
    p_kinds text[],
    p_words text[],
    p_starts integer[],
    p_ends integer[],
    p_arities integer[],
    p_sizes integer[],
    p_operators text[],
    p_metric_names text[],
    out code integer[],
    out constants text[],
    out names text[],
    out error jsonb
)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_orders integer[] := array[1, cardinality(p_kinds), 0];
    v_top integer := 3;
    v_order integer;
    v_node integer;
    v_depth integer;
    v_word text;
    v_more integer[];
    v_children integer[];
    v_labels integer[];
    v_parts integer := 0;
    v_at integer := 0;
    v_place integer;
begin
    constants := '{}';
    names := '{}';
    while v_top > 0 loop
        v_order := v_orders[v_top];
        v_node := v_orders[v_top - 1];
        v_depth := v_orders[v_top - 2];
        v_top := v_top - 3;
        if v_order = -1 then
            v_labels[v_node] := v_at / 2 + 1;
            continue;
        elsif v_order <= 0 and v_order <> -6 then
            v_parts := v_parts + 1;
            error := ducto.node_problem(
                v_order, v_parts, v_depth, p_kinds[v_node], p_words[v_node], p_arities[v_node],
                p_starts[v_node], p_ends[v_node], p_metric_names
            );
            if error is not null then
                return;
            end if;
        end if;
        v_word := case when v_order = -6 then '0' else p_words[v_node] end;
        if v_order = -2 then
            continue;
        elsif v_order = -3 then
            v_order := 9;
            v_node := v_word::integer;
        elsif v_order = 0 and p_kinds[v_node] = 'name' then
            v_order := 2;
            v_node := array_position(names, v_word);
            if v_node is null then
                v_node := cardinality(names) + 1;
                names[v_node] := v_word;
            end if;
        elsif v_order = -6 or v_order = 0 and p_kinds[v_node] = 'number' then
            v_order := 1;
            v_node := array_position(constants, v_word);
            if v_node is null then
                v_node := cardinality(constants) + 1;
                constants[v_node] := v_word;
            end if;
        end if;
        if v_order > 0 then
            code[v_at + 1] := v_order;
            code[v_at + 2] := v_node;
            v_at := v_at + 2;
            continue;
        end if;
        v_children := '{}';
        v_place := v_node - 1;
        for i in reverse p_arities[v_node] .. 1 loop
            v_children[i] := v_place;
            v_place := v_place - p_sizes[v_place];
        end loop;
        if v_word = 'graduated' then
            error := ducto.descending_threshold(
                v_children, p_kinds, p_words, p_starts, p_ends
            );
            if error is not null then
                return;
            end if;
        end if;
        v_more := ducto.node_orders(
            p_kinds[v_node], v_word, v_node, v_depth + 1, v_children, p_kinds, p_operators
        );
        for i in reverse cardinality(v_more) .. 1 loop
            v_top := v_top + 1;
            v_orders[v_top] := v_more[i];
        end loop;
    end loop;
    for i in 1 .. v_at by 2 loop
        if code[i] between 18 and 21 then
            code[i + 1] := v_labels[code[i + 1]];
        end if;
    end loop;
end
$$;
comment on function ducto.emit_program(
    text[], text[], integer[], integer[], integer[], integer[], text[], text[]
) is
    'The program of an expression from its tree, or what is wrong with it.';

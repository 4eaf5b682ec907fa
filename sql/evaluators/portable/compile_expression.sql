-- The compiler of the portable evaluator: the text of an expression in, a program out
-- (docs/portable-programs.md), everything not allowed refused. It is plpython/language.py again:
-- the same programs, byte for byte, and the same refusals, with message, position, length and name.
--
-- The text is never executed. It passes three gates, each of which bounds what reaches the next:
--
--   1. ducto.scan_expression: tokens, by one regular expression. An allow-list of characters; the
--      limits on length, nesting, operands and digits (ducto.read_literal); operands and operators
--      must alternate, brackets and conditionals must match (ducto.token_problem is the table of
--      all that). What gets through is valid syntax.
--   2. ducto.parse_expression: a tree, by precedence climbing with two stacks (the levels are in
--      ducto.token_level). It refuses nothing.
--   3. ducto.emit_program: the program, by a walk from the root. An allow-list of nodes, names and
--      calls (ducto.node_problem); each kind of node comes to instructions and its parts
--      (ducto.node_orders, .comparison_orders, .branch_orders, .call_orders).
--
-- No recursion and no loop that a text could make longer than itself: the work is bounded by its
-- 2,000 characters.
create or replace function ducto.compile_expression(
    p_text text,
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
    v_scanned record;
    v_tree record;
    v_program record;
begin
    v_scanned := ducto.scan_expression(p_text);
    error := v_scanned.error;
    if error is null then
        v_tree := ducto.parse_expression(
            v_scanned.tokens, v_scanned.kinds, v_scanned.starts, v_scanned.ends
        );
        v_program := ducto.emit_program(
            v_tree.kinds, v_tree.words, v_tree.starts, v_tree.ends, v_tree.arities, v_tree.sizes,
            v_tree.operators, p_metric_names
        );
        error := v_program.error;
        if error is null then
            code := v_program.code;
            constants := v_program.constants;
            names := v_program.names;
        end if;
    end if;
end
$$;
comment on function ducto.compile_expression(text, text[]) is
    'The program of an expression, or what is wrong with it.';

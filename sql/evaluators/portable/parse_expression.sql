-- The second gate of the compiler: makes a tree of the tokens by precedence climbing, with a stack
-- of operators that wait for their last operand, open brackets among them, and a stack of operands.
-- Nothing is refused here: the scanner lets through only what is valid.
--
-- The tree is a table in arrays, children before their parent, so that the last node is the root,
-- and the last child of node n is n - 1, the one before it n - 1 - sizes[n - 1], and so on. Of each
-- node: its kind (number, name, unary, binary, and, or, compare, if, call, list), its word (value,
-- name or operator), the position it starts at and the one after its end, how many children it has,
-- how many nodes it is made of, and the operator that stands before it in its parent.
create or replace function ducto.parse_expression(
    p_tokens text[],
    p_kinds text[],
    p_starts integer[],
    p_ends integer[],
    out kinds text[],
    out words text[],
    out starts integer[],
    out ends integer[],
    out arities integer[],
    out sizes integer[],
    out operators text[]
)
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_token integer := 1;
    v_kind text;
    v_level integer;
    -- Operators that wait for their last operand, and open brackets: the token, how tight it binds
    -- (a bracket: 0), and of a bracket how many operands lie below it and whether it has a comma.
    v_waiting integer[];
    v_levels integer[] := '{0}'::integer[];
    v_below integer[];
    v_commas boolean[];
    v_last integer := 1;
    -- Operands: the node, and where it starts and ends with the brackets around it.
    v_operands integer[];
    v_froms integer[];
    v_tos integer[];
    v_top integer := 0;
    -- A node to be made: its kind, its word, of how many operands, where it starts and ends.
    v_made text;
    v_word text;
    v_taken integer;
    v_from integer;
    v_to integer;
    v_node integer := 0;
begin
    loop
        v_kind := coalesce(p_kinds[v_token], 'end');
        v_level := ducto.token_level(v_kind, p_tokens[v_token]);
        v_made := null;
        v_taken := 0;
        v_to := p_ends[v_token];
        if v_kind <> 'prefix' and (
            v_levels[v_last] > v_level or v_levels[v_last] = v_level and v_level in (6, 7)
        ) then
            -- What binds tighter than this token has its operands and becomes a node. Of equals
            -- only arithmetic goes first: `and`, `or` and comparisons make one node of a chain,
            -- powers and conditionals group to the right.
            v_level := v_levels[v_last];
            v_word := p_tokens[v_waiting[v_last]];
            v_made := case v_level when 1 then 'if' when 2 then 'or' when 3 then 'and'
                when 4 then 'unary' when 5 then 'compare' when 8 then 'unary' else 'binary' end;
            v_taken := case v_made when 'unary' then 1 when 'if' then 3 else 2 end;
            operators[v_operands[v_top]] := v_word;
            while v_level in (2, 3, 5) and v_levels[v_last - 1] = v_level loop
                v_last := v_last - 1;
                operators[v_operands[v_top - v_taken + 1]] := p_tokens[v_waiting[v_last]];
                v_taken := v_taken + 1;
            end loop;
            v_from := case v_made when 'unary' then p_starts[v_waiting[v_last]]
                else v_froms[v_top - v_taken + 1] end;
            v_to := v_tos[v_top];
            v_last := v_last - 1;
        else
            exit when v_kind = 'end';
            case v_kind
                when 'number', 'name' then
                    v_made := v_kind;
                    v_word := p_tokens[v_token];
                    v_from := p_starts[v_token];
                when 'prefix', 'infix', 'if', 'open' then
                    v_last := v_last + 1;
                    v_waiting[v_last] := v_token;
                    v_levels[v_last] := v_level % 10;
                    v_below[v_last] := v_top;
                    v_commas[v_last] := false;
                when 'comma' then
                    v_commas[v_last] := true;
                when 'close' then
                    v_taken := v_top - v_below[v_last];
                    v_made := case
                        when p_kinds[v_waiting[v_last] - 1] = 'call' then 'call'
                        when v_taken <> 1 or v_commas[v_last] or p_tokens[v_token] = ']'
                            then 'list' end;
                    v_word := p_tokens[v_waiting[v_last] - 1];
                    v_from := p_starts[v_waiting[v_last] - (v_made = 'call' is true)::integer];
                    if v_made is null then
                        v_froms[v_top] := v_from;
                        v_tos[v_top] := v_to;
                    end if;
                    v_last := v_last - 1;
                else
                    null;
            end case;
            v_token := v_token + 1;
        end if;
        if v_made is not null then
            v_node := v_node + 1;
            kinds[v_node] := v_made;
            words[v_node] := v_word;
            starts[v_node] := v_from;
            ends[v_node] := v_to;
            arities[v_node] := v_taken;
            v_top := v_top - v_taken + 1;
            sizes[v_node] := case v_taken when 0 then 1
                else v_node - v_operands[v_top] + sizes[v_operands[v_top]] end;
            v_operands[v_top] := v_node;
            v_froms[v_top] := v_from;
            v_tos[v_top] := v_to;
        end if;
    end loop;
end
$$;
comment on function ducto.parse_expression(text[], text[], integer[], integer[]) is
    'The tree of an expression, from its tokens.';

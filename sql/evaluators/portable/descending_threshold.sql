-- The error of graduated() with literal thresholds that do not ascend; null: they do, or are no
-- literals and are looked at when the program runs. A literal may have signs, each a node that
-- stands behind its operand.
create or replace function ducto.descending_threshold(
    p_children integer[],
    p_kinds text[],
    p_words text[],
    p_starts integer[],
    p_ends integer[]
)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before numeric;
    v_value numeric;
    v_node integer;
    v_sign integer;
begin
    for i in 2 .. cardinality(p_children) - 2 by 2 loop
        v_node := p_children[i];
        v_sign := 1;
        while p_kinds[v_node] = 'unary' and p_words[v_node] in ('-', '+') loop
            v_sign := case p_words[v_node] when '-' then -v_sign else v_sign end;
            v_node := v_node - 1;
        end loop;
        v_value := case when p_kinds[v_node] = 'number' then v_sign * p_words[v_node]::numeric end;
        if v_before >= v_value then
            v_node := p_children[i];
            return ducto.expression_error(
                'the thresholds of graduated() must ascend',
                p_starts[v_node], p_ends[v_node] - p_starts[v_node]
            );
        end if;
        v_before := v_value;
    end loop;
    return null;
end
$$;
comment on function ducto.descending_threshold(integer[], text[], text[], integer[], integer[]) is
    'The error of a graduated() whose literal thresholds do not ascend.';

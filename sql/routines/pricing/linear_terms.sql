-- Recognises an expression that is a sum of products of metrics and constants. It runs the program
-- on linear forms instead of numbers: an array with the constant first, then the factor of each
-- metric. What is not linear, or not exact for whole metrics, makes the whole null.
create or replace function ducto.linear_terms(
    p_code integer[],
    p_constants numeric[],
    p_names text[]
)
returns numeric[]
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_zero constant numeric[] := array_fill(0::numeric, array[cardinality(p_names) + 1]);
    v_stack jsonb[] := '{}'::jsonb[];
    v_left numeric[];
    v_right numeric[];
    v_form numeric[];
    v_op integer;
    v_argument integer;
begin
    if cardinality(p_names) > 4 or cardinality(p_code) > 80 then
        return null;
    end if;
    for v_at in 1 .. cardinality(p_code) by 2 loop
        v_op := p_code[v_at];
        v_argument := p_code[v_at + 1];
        v_form := v_zero;
        if v_op = 1 then
            v_form[1] := p_constants[v_argument];
        elsif v_op = 2 then
            v_form[v_argument + 1] := 1;
        elsif v_op in (3, 5, 6) then
            v_right := ducto.number_array(v_stack[cardinality(v_stack)]);
            v_left := ducto.number_array(v_stack[cardinality(v_stack) - 1]);
            v_stack := trim_array(v_stack, 2);
            v_form := case v_op
                when 3 then array(
                    select l + r from unnest(v_left, v_right) with ordinality u (l, r, place)
                    order by place
                )
                when 5 then coalesce(
                    ducto.scaled_form(v_left, v_right), ducto.scaled_form(v_right, v_left)
                )
                else ducto.divided_form(v_left, v_right)
                end;
        else
            return null;
        end if;
        if v_form is null then
            return null;
        end if;
        v_stack := v_stack || to_jsonb(v_form);
    end loop;
    v_form := ducto.number_array(v_stack[1]);
    if 0 > any (v_form) or scale(v_form[1]) > 1000 then
        return null;
    end if;
    return v_form;
end
$$;
comment on function ducto.linear_terms(integer[], numeric[], text[]) is
    'The factors of credit_rates of a compiled program; null: it is no such sum.';

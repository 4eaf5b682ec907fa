-- The stack machine of the portable evaluator (docs/portable-programs.md). Guarantees: a verified
-- program ends, since jumps only go forward, and never raises: an evaluation error is returned by
-- name. `value` is the top of the stack, v_stack what lies under it. For speed an operand is
-- combined with the instructions that follow it (CONST MUL, then arithmetic or a comparison)
-- instead of being pushed, and a statement does as much as it can: PL/pgSQL costs time by the
-- statement.
create or replace function ducto.run_program(
    p_code integer[],
    p_constants numeric[],
    p_names text[],
    p_metrics jsonb,
    out value numeric,
    out error text
)
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_stack numeric[];
    v_depth integer := 0;
    v_operand numeric;
    v_at integer := 1;
    v_end constant integer := cardinality(p_code);
    v_op integer;
    v_jump boolean;
    v_call record;
begin
    while v_at < v_end loop
        v_op := p_code[v_at];
        v_at := v_at + 2;
        if v_op <= 2 then
            v_operand := case v_op
                when 2 then coalesce((p_metrics -> p_names[p_code[v_at - 1]])::numeric, 0)
                else p_constants[p_code[v_at - 1]] end;
            if p_code[v_at] = 1 and p_code[v_at + 2] = 5 then
                v_operand := v_operand * p_constants[p_code[v_at + 1]];
                v_at := v_at + 4;
            end if;
            if p_code[v_at] not between 3 and 8 and p_code[v_at] not between 12 and 17
                or v_at > v_end or abs(v_operand) > 1e26
            then
                v_depth := v_depth + 1;
                v_stack[v_depth] := value;
                value := v_operand;
                exit when abs(value) > 1e26;
                continue;
            end if;
            v_op := p_code[v_at];
            v_at := v_at + 2;
        elsif v_op <= 8 or v_op between 12 and 17 then
            v_operand := value;
            value := v_stack[v_depth];
            v_depth := v_depth - 1;
        elsif v_op between 18 and 21 then
            v_jump := v_op = 18 or (value = 0.0) <> (v_op = 21);
            if v_jump then
                v_at := 2 * p_code[v_at - 1] - 1;
            end if;
            if v_op = 19 or not v_jump then
                value := v_stack[v_depth];
                v_depth := v_depth - 1;
            end if;
            continue;
        elsif v_op = 31 then
            v_depth := v_depth + 1;
            v_stack[v_depth] := value;
            continue;
        elsif v_op = 32 then
            value := v_stack[v_depth];
            v_depth := v_depth - 1;
            continue;
        elsif v_op >= 33 then
            v_operand := v_stack[v_depth];
            v_stack[v_depth] := case v_op when 33 then value else v_stack[v_depth - 1] end;
            v_stack[v_depth - (v_op - 33)] := value;
            value := v_operand;
            continue;
        elsif v_op not in (10, 11) then
            v_call := ducto.run_function(v_op, p_code[v_at - 1], v_stack[2 : v_depth] || value);
            v_depth := v_depth - v_call.taken + 1;
            value := v_call.value;
            error := v_call.error;
        end if;
        value := case v_op
            when 3 then value + v_operand
            when 5 then value * v_operand
            when 4 then value - v_operand
            when 13 then (value <= v_operand)::integer
            when 12 then (value < v_operand)::integer
            when 14 then (value = v_operand)::integer
            when 15 then (value <> v_operand)::integer
            when 16 then (value >= v_operand)::integer
            when 17 then (value > v_operand)::integer
            when 10 then -value
            when 11 then (value = 0.0)::integer
            when 6 then case when v_operand <> 0.0 then
                sign(value) * sign(v_operand) * 0.000000000000000000000001
                * div(2e24 * abs(value) + abs(v_operand), 2.0 * abs(v_operand)) end
            when 7 then case when v_operand <> 0.0 then div(value, v_operand) end
            when 8 then case when v_operand <> 0.0 then mod(value, v_operand) end
            else value end;
        exit when value is null or abs(value) > 1e26 or scale(value) > 1000;
    end loop;
    if value is null or abs(value) > 1e26 or scale(value) > 1000 then
        error := coalesce(error, case
            when value is null then 'division_by_zero'
            when abs(value) > 1e26 then 'overflow'
            else 'too_many_digits' end);
        value := null;
    end if;
end
$$;
comment on function ducto.run_program(integer[], numeric[], text[], jsonb) is
    'The value of a verified program for these metrics, or the name of the evaluation error.';

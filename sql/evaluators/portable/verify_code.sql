-- Verifies the instructions of a program by walking through them once, with the depth of the stack
-- before each: opcodes, arguments, jumps, the depth on every path, and one value at the end.
-- Jumps only go forward, so that every depth is known by the time the walk gets there.
create or replace function ducto.verify_code(
    p_code integer[],
    p_constants integer,
    p_names integer
)
returns text
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_last integer := cardinality(p_code) / 2;
    v_depths integer[] := array_fill(null::integer, array[v_last + 1]);
    v_depth integer := 0;
    v_at_target integer;
    v_op integer;
    v_argument integer;
    v_problem text;
begin
    for i in 1 .. v_last loop
        v_op := p_code[2 * i - 1];
        v_argument := p_code[2 * i];
        v_problem := ducto.argument_problem(
            v_op, v_argument, i, v_last, p_constants, p_names
        );
        if v_depth is null then
            v_depth := v_depths[i];
        end if;
        if v_problem is null then
            v_problem := case
                when v_depth is null then 'cannot be reached'
                when v_depths[i] <> v_depth then 'is reached with two depths of the stack'
                when v_depth < ducto.operand_count(v_op, v_argument) then 'finds the stack empty'
                when v_depth > 256 then 'finds more than 256 values on the stack'
                end;
        end if;
        if v_problem is not null then
            return format('instruction %s %s', i, v_problem);
        end if;
        v_at_target := v_depth - (v_op = 19)::integer;
        v_depth := case
            when v_op in (1, 2, 31) then v_depth + 1
            when v_op in (19, 20, 21, 32) then v_depth - 1
            when v_op in (18, 33, 34) then v_depth
            else v_depth - ducto.operand_count(v_op, v_argument) + 1 end;
        if v_op between 18 and 21 then
            if v_depths[v_argument] <> v_at_target then
                return format(
                    'instruction %s is reached with two depths of the stack', v_argument
                );
            end if;
            v_depths[v_argument] := v_at_target;
            if v_op = 18 then
                v_depth := null;
            end if;
        end if;
    end loop;
    if coalesce(v_depth, v_depths[v_last + 1]) is distinct from 1
        or coalesce(v_depths[v_last + 1], 1) <> 1
    then
        return 'the program does not end with exactly one value';
    end if;
    return null;
end
$$;
comment on function ducto.verify_code(integer[], integer, integer) is
    'What is wrong with the instructions of a program; null: nothing.';

-- The operations of the portable machine that take a varying number of operands or a loop, applied
-- to the stack (its top last). Returns the value, or the name of the error, and how many operands
-- were taken. Results are not yet checked against the limits: run_program does that.
create or replace function ducto.run_function(
    p_op integer,
    p_argument integer,
    p_stack numeric[],
    out taken integer,
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
    v_operands numeric[];
    v_first numeric;
begin
    taken := case
        when p_op in (9, 22, 23) then 1
        when p_op = 24 then 2
        when p_op = 27 then 3
        when p_op = 30 then p_argument + 1
        else p_argument end;
    v_operands := p_stack[cardinality(p_stack) - taken + 1 :];
    v_first := v_operands[1];
    case p_op
        when 9 then
            value := 1;
            for i in 1 .. p_argument loop
                value := value * v_first;
            end loop;
        when 22 then
            value := ceil(v_first);
        when 23 then
            value := floor(v_first);
        when 24 then
            if v_operands[2] = trunc(v_operands[2]) and v_operands[2] between -26 and 40 then
                value := round(v_first, v_operands[2]::integer);
            else
                error := 'invalid_digits';
            end if;
        when 25, 26 then
            -- Of equal operands the first one, with its digits.
            value := v_first;
            foreach v_first in array v_operands loop
                if v_first < value and p_op = 25 or v_first > value and p_op = 26 then
                    value := v_first;
                end if;
            end loop;
        when 27 then
            value := case when v_operands[3] < v_first then v_operands[3] else v_first end;
            value := case when value > v_operands[2] then value else v_operands[2] end;
        when 28 then
            value := ducto.percentile(v_operands);
            error := case when value is null then 'invalid_percentile' end;
        when 29 then
            value := ducto.graduated(v_operands);
            error := case when value is null then 'thresholds_not_ascending' end;
        when 30 then
            value := (v_first = any (v_operands[2:]))::integer::numeric;
    end case;
end
$$;
comment on function ducto.run_function(integer, integer, numeric[]) is
    'Applies one of the machine''s functions to the operands on top of the stack.';

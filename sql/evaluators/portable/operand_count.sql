-- How many values an instruction needs on the stack.
create or replace function ducto.operand_count(p_op integer, p_argument integer)
returns integer
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when p_op in (1, 2, 18) then 0
        when p_op in (9, 10, 11, 19, 20, 21, 22, 23, 31, 32) then 1
        when p_op in (27, 34) then 3
        when p_op in (25, 26, 28, 29) then p_argument
        when p_op = 30 then p_argument + 1
        else 2 end;
end
$$;
comment on function ducto.operand_count(integer, integer) is
    'How many values an instruction of the portable machine needs on the stack.';

-- Whether an opcode exists and its argument is one it may have, given where it stands.
create or replace function ducto.argument_problem(
    p_op integer,
    p_argument integer,
    p_at integer,
    p_last integer,
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
begin
    return case
        when p_op not between 1 and 34 then 'has the unknown opcode ' || p_op
        when p_op = 1 and p_argument not between 1 and p_constants
            then 'names constant ' || p_argument || ' of ' || p_constants
        when p_op = 2 and p_argument not between 1 and p_names
            then 'names metric ' || p_argument || ' of ' || p_names
        when p_op between 18 and 21 and p_argument <= p_at
            then 'does not jump forward'
        when p_op between 18 and 21 and p_argument > p_last + 1
            then 'jumps out of the program'
        when p_op = 9 and p_argument > 16
            or p_op in (25, 26) and p_argument < 1
            or p_op = 28 and p_argument < 2
            or p_op = 29 and (p_argument < 2 or p_argument % 2 <> 0)
            or p_op in (25, 26, 28, 29, 30) and p_argument > 256
            or p_op not in (1, 2, 9, 18, 19, 20, 21, 25, 26, 28, 29, 30) and p_argument <> 0
            then 'has the bad argument ' || p_argument
        end;
end
$$;
comment on function ducto.argument_problem(integer, integer, integer, integer, integer, integer) is
    'What is wrong with an instruction by itself; null: nothing.';

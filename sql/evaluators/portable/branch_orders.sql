-- `yes if test else no`, and the function of the same name: one of two is evaluated.
create or replace function ducto.branch_orders(
    p_node integer,
    p_depth integer,
    p_test integer,
    p_yes integer,
    p_no integer
)
returns integer[]
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return array[
        0, p_test, p_depth, 19, 3 * p_node, 0,
        0, p_yes, p_depth, 18, 3 * p_node + 1, 0,
        -1, 3 * p_node, 0, 0, p_no, p_depth,
        -1, 3 * p_node + 1, 0
    ];
end
$$;
comment on function ducto.branch_orders(integer, integer, integer, integer, integer) is
    'What a conditional is compiled to.';

-- How many insertions, deletions, substitutions and swaps of neighbours turn one text into another:
-- exact below the limit; what is that far from the diagonal is not looked at.
create or replace function ducto.edit_distance(p_left text, p_right text, p_limit integer)
returns integer
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_right text[] := string_to_array(p_right, null);
    v_left text[] := string_to_array(p_left, null);
    v_length constant integer := length(p_right);
    v_before integer[];
    v_previous integer[] := array(select generate_series(0, length(p_right)));
    v_current integer[];
    v_cost integer;
begin
    for v_row in 1 .. length(p_left) loop
        v_current := array_fill(p_limit, array[v_length + 1]);
        v_current[1] := v_row;
        for v_column in greatest(1, v_row - p_limit + 1)
            .. least(v_length, v_row + p_limit - 1)
        loop
            v_cost := least(
                v_previous[v_column + 1] + 1,
                v_current[v_column] + 1,
                v_previous[v_column] + (v_left[v_row] <> v_right[v_column])::integer
            );
            if v_row > 1 and v_column > 1
                and v_left[v_row] = v_right[v_column - 1]
                and v_left[v_row - 1] = v_right[v_column]
            then
                v_cost := least(v_cost, v_before[v_column - 1] + 1);
            end if;
            v_current[v_column + 1] := v_cost;
        end loop;
        v_before := v_previous;
        v_previous := v_current;
    end loop;
    return v_previous[v_length + 1];
end
$$;
comment on function ducto.edit_distance(text, text, integer) is
    'Edit distance of two texts, with swapped neighbours as one edit; at most about the limit.';

-- How many insertions, deletions, substitutions and swaps of neighbours turn one text into another.
create or replace function ducto.edit_distance(p_left text, p_right text)
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
    v_before integer[];
    v_previous integer[] := array(select generate_series(0, length(p_right)));
    v_current integer[];
    v_cost integer;
begin
    for v_row in 1 .. length(p_left) loop
        v_current := array[v_row];
        for v_column in 1 .. length(p_right) loop
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
    return v_previous[length(p_right) + 1];
end
$$;
comment on function ducto.edit_distance(text, text) is
    'Edit distance of two texts, with swapped neighbours as one edit.';

-- What is wrong with a cron schedule of five fields, as a sentence; null when nothing is.
create or replace function ducto.schedule_problem(p_schedule text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    c_names constant text[] :=
        array['minute', 'hour', 'day of the month', 'month', 'day of the week'];
    c_lowest constant integer[] := array[0, 0, 1, 1, 0];
    c_highest constant integer[] := array[59, 23, 31, 12, 7];
    v_fields text[] := regexp_split_to_array(btrim(p_schedule), '[[:space:]]+');
    v_item text;
    -- Of an item such as 10-40/5: the range, its first, its last, the step.
    v_part text[];
begin
    if cardinality(v_fields) is distinct from 5 then
        return 'A schedule has five fields: ' || array_to_string(c_names, ', ') || '.';
    end if;
    for v_number in 1..5 loop
        foreach v_item in array string_to_array(v_fields[v_number], ',') loop
            v_part := regexp_match(
                v_item, '^([*]|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?$'
            );
            if v_part is null
                or v_part[2]::integer < c_lowest[v_number]
                or coalesce(v_part[3], v_part[2])::integer > c_highest[v_number]
                or v_part[3]::integer < v_part[2]::integer
                or v_part[4]::integer = 0
            then
                return format(
                    '%L is no %s, which goes from %s to %s.', v_item, c_names[v_number],
                    c_lowest[v_number], c_highest[v_number]
                );
            end if;
        end loop;
    end loop;
    return null;
end
$$;

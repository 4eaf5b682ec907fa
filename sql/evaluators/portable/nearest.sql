-- The candidate that a name is most likely a slip of; null when none is close. The same rule as
-- plpython/names.py's, so that both name the same candidate in the same error: at most a third of
-- the name's length in edits and never more than 5, case of ASCII letters aside. Its cost stays
-- bounded whatever it is given: long names are not compared, and of the candidates only the few
-- that share most letters are, since each letter that only one of the two has needs an edit.
create or replace function ducto.nearest(p_name text, p_candidates text[])
returns text
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_best text;
    v_limit integer := least(greatest(1, (length(p_name) + 1) / 3), 5) + 1;
    v_name constant text := lower(p_name collate "C");
    v_candidate text;
    v_distance integer;
begin
    if length(p_name) > 64 then
        return null;
    end if;
    for v_candidate in
        select n.candidate
        from (
            select c.candidate, c.place, greatest(
                length(translate(lower(c.candidate collate "C"), v_name, '')),
                length(translate(v_name, lower(c.candidate collate "C"), ''))
            ) as apart
            from unnest(p_candidates) with ordinality c(candidate, place)
            where abs(length(c.candidate) - length(p_name)) < v_limit
        ) n
        where n.apart < v_limit
        order by n.apart, n.place
        limit 8
    loop
        v_distance := ducto.edit_distance(v_name, lower(v_candidate collate "C"), v_limit);
        if v_distance < v_limit then
            v_best := v_candidate;
            v_limit := v_distance;
        end if;
    end loop;
    return v_best;
end
$$;
comment on function ducto.nearest(text, text[]) is
    'The candidate nearest to a misspelt name, or null.';

-- The candidate that a name is most likely a slip of; null when none is close. The same rule as
-- the Python evaluator's, so that both name the same candidate in the same error. Only on error
-- paths; names above 64 characters are not compared, so its cost is bounded.
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
    v_limit integer := greatest(1, (length(p_name) + 1) / 3) + 1;
    v_candidate text;
    v_distance integer;
begin
    if length(p_name) > 64 then
        return null;
    end if;
    foreach v_candidate in array coalesce(p_candidates, '{}') loop
        continue when abs(length(v_candidate) - length(p_name)) >= v_limit;
        v_distance := ducto.edit_distance(lower(p_name), lower(v_candidate));
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

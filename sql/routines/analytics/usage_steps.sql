-- Takes a window apart into spans of a ladder, the longest first, each step bringing the ends
-- closer to where they shall be. A step may go too far, and what is too much is taken off again
-- (sign -1): a day less an hour is two spans, where the other hours are 23. What is left
-- (hours 0) is read from the ledger.
create or replace function ducto.usage_steps(
    p_ladder integer[],
    p_start timestamptz,
    p_end timestamptz
)
returns table (hours integer, sign integer, from_at timestamptz, to_at timestamptz)
language plpgsql
immutable
rows 8
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_start timestamptz;
    v_end timestamptz;
    v_starts timestamptz;
    v_ends timestamptz;
    v_most numeric;
begin
    foreach hours in array p_ladder || 0 loop
        v_starts := v_start;
        v_ends := v_end;
        -- Up to three quarters are fewer rows in shorter spans; the ledger has more than any.
        v_most := case hours when p_ladder[cardinality(p_ladder)] then 0.5 else 0.75 end;
        v_start := ducto.usage_step(hours, v_starts, p_start, v_most);
        v_end := ducto.usage_step(hours, v_ends, p_end, v_most);
        -- Where both ends are still the same instant, they have nothing between them yet.
        if v_starts is null or v_starts = v_ends then
            sign := 1;
            from_at := v_start;
            to_at := v_end;
            if from_at < to_at then
                return next;
            end if;
            continue;
        end if;
        sign := case when v_start < v_starts then 1 else -1 end;
        from_at := least(v_start, v_starts);
        to_at := greatest(v_start, v_starts);
        if from_at < to_at then
            return next;
        end if;
        sign := case when v_end > v_ends then 1 else -1 end;
        from_at := least(v_end, v_ends);
        to_at := greatest(v_end, v_ends);
        if from_at < to_at then
            return next;
        end if;
    end loop;
end
$$;

-- A window of a report: null when valid, else the error.
create or replace function ducto.check_window(p_start timestamptz, p_end timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_start is null or not isfinite(p_start) then
        return ducto.invalid('p_start', 'The start of the window must be a point in time.');
    elsif p_end is null or not isfinite(p_end) then
        return ducto.invalid('p_end', 'The end of the window must be a point in time.');
    elsif p_end < p_start then
        return ducto.invalid('p_end', 'The window ends before it starts.');
    elsif extract(epoch from p_end) - extract(epoch from p_start) > 36525::numeric * 86400 then
        return ducto.invalid('p_end', 'A window is at most 100 years long.');
    end if;
    return null;
end
$$;

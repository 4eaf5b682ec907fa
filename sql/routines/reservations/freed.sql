-- What settling a hold at p_cost frees of what it sets aside: all of it, or (status active) a part.
create or replace function ducto.freed(p_hold ducto.reservation, p_cost numeric)
returns numeric
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when not p_hold.counted then 0
        when p_hold.status = 'settled' then p_hold.held
        when p_hold.status = 'active' then least(p_hold.held, p_cost)
        else 0
    end;
end
$$;

-- A text as messages show it: as it is, and cut where it is long, so that no value that somebody
-- sends makes a message long.
create or replace function ducto.shorten(p_text text, p_length integer default 40)
returns text
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return case when length(p_text) <= p_length then p_text
        else left(p_text, p_length - 3) || '...' end;
end
$$;
comment on function ducto.shorten(text, integer) is
    'A text, cut with three points where it is longer than that.';

-- A text of at most p_length characters; one that was cut ends in dots.
create or replace function ducto.shorten(p_text text, p_length integer)
returns text
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case
        when length(p_text) > p_length then left(p_text, p_length - 3) || '...'
        else p_text
    end;
$$;

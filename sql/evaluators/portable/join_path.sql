-- The path of a member of what is at a path, as errors write it; a key that is longer than a name
-- may be is cut.
create or replace function ducto.join_path(p_path text, p_key text)
returns text
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return concat(
        nullif(p_path, '') || '.',
        case when length(p_key) <= 200 then p_key else left(p_key, 197) || '...' end
    );
end
$$;
comment on function ducto.join_path(text, text) is
    'The path of a member of a pricing config.';

-- The keys of an object that are not known there; `p_kinds` are the known ones in their order, each
-- with the kind of its value. Rows of an error: its path and message, and a name with the known
-- ones that it may have been meant to be, among which ducto.compile_portable looks for the nearest
-- if the error is listed. No more than a hundred are: of the rest only the number counts.
create or replace function ducto.key_errors(p_path text, p_object jsonb, p_kinds text[])
returns table (path text, message text, name text, known text[])
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_known text[] := array(
        select k.name from unnest(p_kinds) with ordinality k(name, place)
        where k.place % 2 = 1 order by k.place
    );
begin
    return query
        select
            case when n.place <= 100 then ducto.join_path(p_path, n.key) end,
            'unknown key',
            case when n.place <= 100 then n.key end,
            case when n.place <= 100 then v_known end
        from (
            select k.key, row_number() over () as place
            from jsonb_object_keys(p_object) k(key)
            where k.key <> all (v_known)
        ) n;
end
$$;
comment on function ducto.key_errors(text, jsonb, text[]) is
    'An error for each key of an object that is not known there.';

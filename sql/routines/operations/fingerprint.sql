-- What a key stands for where the row does not say it all: sha256 of an operation and what
-- identifies it. An array's text tells a null from an empty text, and where each item ends.
create or replace function ducto.fingerprint(variadic p_parts text[])
returns bytea
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Not in SQL: such a function is planned anew in every transaction.
    return sha256(convert_to(p_parts::text, 'UTF8'));
end
$$;

-- What a key stands for where the row does not say it all: sha256 of an operation and what
-- identifies it. An array's text tells a null from an empty text, and where each item ends.
create or replace function ducto.fingerprint(variadic p_parts text[])
returns bytea
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
return sha256(convert_to(p_parts::text, 'UTF8'));

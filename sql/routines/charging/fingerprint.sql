-- What a key was used for. Parts are null-safe and separated, so no two operations read alike.
create or replace function ducto.fingerprint(variadic p_parts text[])
returns bytea
language sql
stable
security invoker
set search_path = ''
as $$
    select sha256(convert_to(p_parts::text, 'UTF8'));
$$;

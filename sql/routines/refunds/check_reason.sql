-- A reason is a few sentences, kept in the metadata of the entry: null when valid, else the error.
create or replace function ducto.check_reason(p_reason text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if length(p_reason) > 2000 then
        return ducto.invalid('p_reason', 'A reason has at most 2000 characters.');
    end if;
    return null;
end
$$;

-- What is wrong with the values of an object of settings, in the order of `p_kinds`: each key and
-- the kind of its value. A kind that is empty is checked elsewhere.
create or replace function ducto.setting_errors(p_path text, p_settings jsonb, p_kinds text[])
returns table (path text, message text, name text, known text[])
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    for i in 1 .. cardinality(p_kinds) by 2 loop
        if p_kinds[i + 1] <> '' and p_settings ? p_kinds[i] then
            return query
                select e.* from ducto.value_errors(
                    ducto.join_path(p_path, p_kinds[i]), p_kinds[i + 1], p_settings -> p_kinds[i]
                ) e;
        end if;
    end loop;
end
$$;
comment on function ducto.setting_errors(text, jsonb, text[]) is
    'What is wrong with an object of settings: rows as those of ducto.key_errors.';

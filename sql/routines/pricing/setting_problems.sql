-- What is wrong with an object of settings, given the kind of each known key: unknown keys, with
-- the nearest known one, and values that are not of their kind.
create or replace function ducto.setting_problems(p_path text, p_settings jsonb, p_kinds jsonb)
returns table (path text, message text)
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_known text[] := array(select k.key from jsonb_each(p_kinds) k order by k.key);
    v_key text;
    v_value jsonb;
begin
    if jsonb_typeof(p_settings) <> 'object' then
        return query select p_path, 'must be an object';
        return;
    end if;
    for v_key, v_value in select s.key, s.value from jsonb_each(p_settings) s loop
        path := concat(nullif(p_path, '') || '.', left(v_key, 200));
        message := case when p_kinds ? v_key
            then ducto.value_problem(p_kinds ->> v_key, v_value)
            else 'unknown key' || case when ducto.nearest(v_key, v_known) is null then ''
                else format('; did you mean ''%s''?', ducto.nearest(v_key, v_known)) end
            end;
        if message is not null then
            return next;
        end if;
    end loop;
end
$$;
comment on function ducto.setting_problems(text, jsonb, jsonb) is
    'What is wrong with an object of settings: path and message.';

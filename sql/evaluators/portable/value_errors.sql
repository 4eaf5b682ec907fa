-- What is wrong with the value of a setting. A kind is a name below, or the words of a choice.
create or replace function ducto.value_errors(p_path text, p_kind text, p_value jsonb)
returns table (path text, message text, name text, known text[])
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    case
        when p_kind = 'thresholds' and jsonb_typeof(p_value) = 'array'
            and jsonb_array_length(p_value) <= 32
        then
            return query
                select format('%s[%s]', p_path, t.place - 1), v.message, v.name, v.known
                from jsonb_array_elements(p_value) with ordinality t(value, place)
                cross join lateral ducto.value_errors('', 'money', t.value) v
                order by t.place;
        when p_kind = 'features' and jsonb_typeof(p_value) = 'array' then
            return query
                select format('%s[%s]', p_path, f.place - 1), ducto.name_problem(f.value),
                    null::text, null::text[]
                from jsonb_array_elements(p_value) with ordinality f(value, place)
                where ducto.name_problem(f.value) is not null
                order by f.place;
        when p_kind = 'features' and jsonb_typeof(p_value) = 'object' then
            return query
                select ducto.join_path(p_path, f.key),
                    coalesce(ducto.name_problem(to_jsonb(f.key)), 'nested more than 16 deep'),
                    null::text, null::text[]
                from jsonb_each(p_value) f
                where ducto.name_problem(to_jsonb(f.key)) is not null or f.value @? '$.**{16}';
        when p_kind = 'operations' and jsonb_typeof(p_value) = 'object' then
            return query
                select e.* from jsonb_each(p_value) o
                cross join lateral ducto.policy_errors(
                    ducto.join_path(p_path, o.key), o.key, o.value
                ) e;
        else
            message := ducto.value_problem(p_kind, p_value);
            if message is not null then
                path := p_path;
                if p_kind like '%|%' and jsonb_typeof(p_value) = 'string' then
                    name := p_value #>> '{}';
                    known := string_to_array(p_kind, '|');
                end if;
                return next;
            end if;
    end case;
end
$$;
comment on function ducto.value_errors(text, text, jsonb) is
    'What is wrong with a setting of a pricing config: rows as those of ducto.key_errors.';

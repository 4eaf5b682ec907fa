-- The plans of a config, given as a list or as an object by id, in their order. A key that is no
-- text is null.
create or replace function ducto.config_plans(p_config jsonb)
returns table (path text, plan_key text, plan jsonb, place integer)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(p_config -> 'plans') = 'array' then
        return query
            select format('plans[%s]', a.place - 1),
                case when jsonb_typeof(a.plan -> 'id') = 'string' then a.plan ->> 'id' end,
                a.plan, a.place::integer
            from jsonb_array_elements(p_config -> 'plans') with ordinality a(plan, place);
    elsif jsonb_typeof(p_config -> 'plans') = 'object' then
        return query
            select ducto.join_path('plans', e.key), e.key, e.value, (row_number() over ())::integer
            from jsonb_each(p_config -> 'plans') e;
    end if;
end
$$;
comment on function ducto.config_plans(jsonb) is
    'The plans of a pricing config: path, key, content, place.';

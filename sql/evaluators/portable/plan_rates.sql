-- The expressions of a plan's overrides: models with their expressions, or sections of them.
create or replace function ducto.plan_rates(p_path text, p_plan_key text, p_overrides jsonb)
returns table (
    path text, plan_key text, section text, key text, expression text, problem text
)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_overrides is null then
        return;
    elsif ducto.has_sections(p_overrides) then
        return query
            select r.* from jsonb_each(p_overrides) s
            cross join lateral ducto.section_rates(
                ducto.join_path(p_path, s.key), p_plan_key, s.key, s.value
            ) r;
    else
        return query
            select r.*
            from ducto.section_rates(p_path, p_plan_key, 'models', p_overrides) r;
    end if;
end
$$;
comment on function ducto.plan_rates(text, text, jsonb) is
    'The expressions of a plan''s rate overrides.';

-- Whether rate overrides are given by section, not as models with their expressions.
create or replace function ducto.has_sections(p_overrides jsonb)
returns boolean
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_typeof(p_overrides) = 'object' and not exists (
        select from jsonb_each(p_overrides) s
        where s.key not in ('models', 'tools', 'search', 'cache', 'fixed')
            or jsonb_typeof(s.value) <> 'object'
    );
end
$$;
comment on function ducto.has_sections(jsonb) is
    'Whether rate overrides are given by section.';

-- A pricing version as the API returns it.
create or replace function ducto.pricing_object(p_version integer)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select jsonb_build_object(
            'id', c.id,
            'version', c.version,
            'label', c.label,
            'active', c.active,
            'config', c.config,
            'created_at', c.created_at
        )
        from ducto.credit_pricing_config c
        where c.version = p_version
    );
end
$$;
comment on function ducto.pricing_object(integer) is
    'A pricing version as the API returns it; null: there is none.';

create or replace function public.ducto_pricing_export(p_version integer)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_config jsonb;
begin
    select c.config into v_config
    from ducto.credit_pricing_config c
    where c.version = p_version and c.version > 0;
    if not found then
        perform ducto.raise_error('DU020', jsonb_build_object('version', p_version));
    end if;
    return v_config;
end
$$;
comment on function public.ducto_pricing_export(integer) is
    'The config of a pricing version, as it was published. Errors: DU020 unknown version. '
    'Callers: service, admin, reader.';

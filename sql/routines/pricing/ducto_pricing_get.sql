create or replace function public.ducto_pricing_get()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_version integer;
begin
    select c.version into v_version from ducto.credit_pricing_config c where c.active;
    if not found then
        perform ducto.raise_error('DU003');
    end if;
    return ducto.pricing_object(v_version);
end
$$;
comment on function public.ducto_pricing_get() is
    'The active pricing version: {id, version, label, active, config, created_at}. '
    'Errors: DU003 when none was published yet. Callers: service, admin, reader.';

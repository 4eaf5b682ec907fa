create or replace function public.ducto_pricing_activate(p_version integer)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ducto.lock_pricing();
    if not exists (
        select from ducto.credit_pricing_config c
        where c.version = p_version and c.version > 0
    ) then
        perform ducto.raise_error('DU020', jsonb_build_object('version', p_version));
    end if;
    -- In this order: no two rows may be active, not even between two rows of one statement.
    update ducto.credit_pricing_config c set active = false
    where c.active and c.version <> p_version;
    -- Also where it is active already: a snapshot that is too old fails to serialise here.
    update ducto.credit_pricing_config c set active = true where c.version = p_version;
    perform ducto.activate_rates(p_version);
    return ducto.pricing_object(p_version);
end
$$;
comment on function public.ducto_pricing_activate(integer) is
    'Makes an earlier pricing version the active one again: '
    '{id, version, label, active, config, created_at}. Errors: DU020 unknown version. '
    'Callers: admin. Idempotent.';

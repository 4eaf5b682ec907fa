-- Deletes a staged config; its rates and plans go with it. Never a published version.
create or replace function ducto.drop_scratch(p_version integer)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from ducto.credit_pricing_config c where c.version = p_version and c.version < 0;
end
$$;
comment on function ducto.drop_scratch(integer) is
    'Deletes a config that was staged for one call.';

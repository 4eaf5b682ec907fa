create or replace function public.ducto_pricing_validate(p_config jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked jsonb := ducto.check_pricing(p_config);
begin
    -- Not being able to tell is no verdict on the config.
    if v_checked ? 'hint' then
        perform ducto.require_valid(v_checked);
    end if;
    return jsonb_build_object(
        'valid', v_checked -> 'errors' = '[]',
        'errors', v_checked -> 'errors',
        'warnings', v_checked -> 'warnings'
    );
end
$$;
comment on function public.ducto_pricing_validate(jsonb) is
    'Whether a config could be published: {valid, errors, warnings}, each error with its path and '
    'message. Errors: DU006 where the server has no PL/Python and the config carries no compiled '
    'programs. Writes nothing. Callers: service, admin, reader.';

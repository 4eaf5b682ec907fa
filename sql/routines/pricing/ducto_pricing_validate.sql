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
    return jsonb_build_object(
        'valid', v_checked -> 'errors' = '[]',
        'errors', v_checked -> 'errors',
        'warnings', v_checked -> 'warnings'
    );
end
$$;
comment on function public.ducto_pricing_validate(jsonb) is
    'Whether a config could be published: {valid, errors, warnings}, each error with its path and '
    'message, the first hundred of them. Writes nothing. Callers: service, admin, reader.';

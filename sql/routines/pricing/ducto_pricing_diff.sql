create or replace function public.ducto_pricing_diff(p_from integer, p_to integer)
returns table (change text, path text, old_value jsonb, new_value jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_old jsonb := public.ducto_pricing_export(p_from);
    v_new jsonb := public.ducto_pricing_export(p_to);
begin
    return query
        select case when o.value is null then 'added' when n.value is null then 'removed'
            else 'changed' end,
            coalesce(o.path, n.path), o.value, n.value
        from ducto.config_leaves(v_old) o
        full join ducto.config_leaves(v_new) n on n.path = o.path
        where o.value is distinct from n.value
        order by 2;
end
$$;
comment on function public.ducto_pricing_diff(integer, integer) is
    'What changed between two pricing versions, a row per setting or expression: change (added, '
    'removed, changed), path, old_value, new_value. Errors: DU020 unknown version. '
    'Callers: service, admin, reader.';

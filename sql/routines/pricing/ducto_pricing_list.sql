create or replace function public.ducto_pricing_list()
returns table (
    id uuid,
    version integer,
    label text,
    active boolean,
    created_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        select c.id, c.version, c.label, c.active, c.created_at
        from ducto.credit_pricing_config c
        where c.version > 0
        order by c.version desc;
end
$$;
comment on function public.ducto_pricing_list() is
    'All pricing versions, newest first, without their configs. Callers: service, admin, reader.';

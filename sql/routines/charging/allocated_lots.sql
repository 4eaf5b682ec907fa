-- The lots behind an entry's allocations, in their order: each is looked up, one by one.
create or replace function ducto.allocated_lots(p_account_id text, p_allocations jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set enable_material = off
as $$
begin
    return coalesce((
        select jsonb_agg(
            jsonb_build_object(
                'lot_id', l.lot_id,
                'kind', l.kind,
                'category', l.category,
                'change', a.item -> 'amount',
                'expires_at', l.expires_at
            )
            order by a.place
        ) filter (where l.lot_id is not null)
        from jsonb_array_elements(p_allocations) with ordinality a (item, place)
        left join ducto.credit_lots l
            on l.account_id = p_account_id and l.lot_id = (a.item -> 'lot')::bigint
    ), '[]');
end
$$;

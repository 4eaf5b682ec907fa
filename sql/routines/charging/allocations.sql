-- What an entry did, as it is stored: [{"lot": id, "amount": change}, ..., {"debt": change}].
create or replace function ducto.allocations(
    p_lots bigint[],
    p_takes numeric[],
    p_debt numeric default 0
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((
        select jsonb_agg(
            jsonb_build_object('lot', d.lot_id, 'amount', -trim_scale(d.take)) order by d.place
        )
        from unnest(p_lots, p_takes) with ordinality d (lot_id, take, place)
    ), '[]') || case when p_debt <> 0
        then jsonb_build_array(jsonb_build_object('debt', trim_scale(p_debt)))
        else '[]' end;
end
$$;

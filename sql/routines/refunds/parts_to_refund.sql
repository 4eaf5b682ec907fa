-- The parts of a charge that a refund gives back, the last drawn first: behind the p_skip that
-- earlier refunds gave back, p_left in all. lot_id null: it was debt.
create or replace function ducto.parts_to_refund(
    p_allocations jsonb,
    p_skip numeric,
    p_left numeric
)
returns table (place bigint, lot_id bigint, part numeric)
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select i.place, i.lot_id,
        least(i.upto, p_skip + p_left) - greatest(i.upto - i.amount, p_skip)
    from (
        select a.place, (a.item ->> 'lot')::bigint as lot_id,
            abs(coalesce((a.item -> 'debt')::numeric, (a.item -> 'amount')::numeric)) as amount,
            sum(abs(coalesce((a.item -> 'debt')::numeric, (a.item -> 'amount')::numeric)))
                over (order by a.place desc) as upto
        from jsonb_array_elements(p_allocations) with ordinality a (item, place)
    ) i
    where i.upto > p_skip and i.upto - i.amount < p_skip + p_left
    order by i.place desc;
end
$$;

-- What ducto.draw_together takes for the charges of some accounts that have no result yet.
create or replace function ducto.draw_rest(
    p_charges jsonb,
    p_results jsonb[],
    p_user_ids text[]
)
returns ducto.booking[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_bookings ducto.booking[] := '{}'::ducto.booking[];
    v_one record;
begin
    for v_one in
        select c.item ->> 'user_id' as user_id,
            array_agg(c.place::integer order by c.place) as places,
            array_agg(c.item order by c.place) as items
        from jsonb_array_elements(p_charges) with ordinality c (item, place)
        where c.item ->> 'user_id' = any (p_user_ids)
            and c.item ->> 'team_id' is null
            and p_results[c.place::integer] is null
            and ducto.check_batch_item(c.item) is null
        group by 1
    loop
        v_bookings := v_bookings || coalesce(
            ducto.draw_together(v_one.user_id, v_one.places, v_one.items),
            '{}'::ducto.booking[]
        );
    end loop;
    return v_bookings;
end
$$;

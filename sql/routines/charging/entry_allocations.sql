-- What an entry did. A charge that drew on one lot does not store it twice.
create or replace function ducto.entry_allocations(p_entry ducto.entry)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(p_entry.allocations, case when p_entry.lot_id is not null then
        jsonb_build_array(jsonb_build_object(
            'lot', p_entry.lot_id,
            'amount', trim_scale(p_entry.amount - p_entry.allowance_consumed)
        ))
    end, '[]');
end
$$;

-- The parts of an entry's price; null for anything but a charge.
create or replace function ducto.entry_breakdown(p_entry ducto.entry)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_entry.type <> 'usage' then
        return null;
    end if;
    return coalesce(p_entry.breakdown, ducto.plain_breakdown(
        p_entry.metrics, p_entry.allowance_consumed - p_entry.amount
    ));
end
$$;

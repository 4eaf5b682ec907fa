-- Whether an entry follows from what it stores: its allocations add up to its amounts, and a charge
-- priced again (p_price) costs what it cost.
create or replace function ducto.recomputes(
    p_entry ducto.entry,
    p_price jsonb
)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_moved numeric;
begin
    -- What left lots (the allowance's among them) or became debt is what the entry says.
    select coalesce(sum(coalesce((a -> 'amount')::numeric, -(a -> 'debt')::numeric)), 0)
    into v_moved
    from jsonb_array_elements(ducto.entry_allocations(p_entry)) a;
    return v_moved = p_entry.amount - p_entry.allowance_consumed and (
        p_price is null
        or (p_price -> 'cost')::numeric is not distinct from
            p_entry.allowance_consumed - p_entry.amount
    );
end
$$;

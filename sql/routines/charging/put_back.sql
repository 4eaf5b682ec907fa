-- Gives what was drawn for the charges of some accounts back to their headroom; the bookings of the
-- others are returned.
create or replace function ducto.put_back(p_bookings ducto.booking[], p_account_ids text[])
returns ducto.booking[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account_id text;
    v_cost numeric;
begin
    foreach v_account_id in array p_account_ids loop
        select sum(b.cost) into v_cost from unnest(p_bookings) b
        where b.account_id = v_account_id;
        update ducto.credit_accounts a set
            drawn = a.drawn - v_cost, headroom = a.headroom + v_cost
        where a.account_id = v_account_id;
    end loop;
    return array(
        select b from unnest(p_bookings) b where b.account_id <> all (p_account_ids)
    );
end
$$;

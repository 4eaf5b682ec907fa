-- Moves credits as an entry's allocations say; every change of a lot or a debt goes through here.
create or replace function ducto.apply_allocations(
    p_account_id text,
    p_allocations jsonb,
    p_forfeit boolean default false
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_item jsonb;
    v_amount numeric;
begin
    for v_index in 0 .. jsonb_array_length(p_allocations) - 1 loop
        v_item := p_allocations -> v_index;
        v_amount := (v_item -> 'amount')::numeric;
        if v_amount is not null then
            update ducto.credit_lots l set
                remaining = l.remaining + v_amount,
                live = l.remaining + v_amount > 0,
                forfeited = l.forfeited - case when p_forfeit then v_amount else 0 end
            where l.account_id = p_account_id and l.lot_id = (v_item ->> 'lot')::bigint;
        else
            update ducto.credit_accounts a set
                debt = a.debt + (v_item ->> 'debt')::numeric
            where a.account_id = p_account_id;
        end if;
    end loop;
end
$$;
comment on function ducto.apply_allocations(text, jsonb, boolean) is
    'Applies [{"lot": id, "amount": change}, {"debt": change}] to the locked account; p_forfeit: '
    'what leaves a lot was not spent but expired, was revoked or adjusted away.';

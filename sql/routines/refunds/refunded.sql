-- How much of a charge has been refunded, the allowance part included.
create or replace function ducto.refunded(p_charge ducto.entry)
returns numeric
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select coalesce(sum(t.amount - t.allowance_consumed), 0)
        from ducto.credit_references f
        join ducto.credit_transactions t
            on t.account_id = f.account_id and t.id = f.transaction_id
        where f.account_id = p_charge.account_id and f.reference_id = p_charge.id
            and t.type = 'refund'
    );
end
$$;

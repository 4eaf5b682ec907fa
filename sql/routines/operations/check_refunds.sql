-- The refunds of a charge never exceed it.
create or replace function ducto.check_refunds()
returns table (check_name text, user_id text, detail jsonb)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select 'refund', c.account_id, jsonb_build_object(
        'transaction_id', c.id,
        'cost', c.allowance_consumed - c.amount,
        'refunded', sum(r.amount - r.allowance_consumed)
    )
    from ducto.credit_transactions r
    join ducto.credit_transactions c on c.account_id = r.account_id and c.id = r.reference_id
    where r.type = 'refund' and r.reference_id is not null
    group by c.account_id, c.id, c.amount, c.allowance_consumed
    having sum(r.amount - r.allowance_consumed) > c.allowance_consumed - c.amount;
end
$$;

-- Whether nothing of the account carries the key yet, neither entry nor hold. Volatile, so that an
-- update that asks, where it has waited for the account's row, sees what was written meanwhile. Its
-- only caller, ducto.hold_headroom, has it planned without sequential scans.
create or replace function ducto.is_new_key(p_account_id text, p_idempotency_key text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return not exists (
        select from ducto.credit_reservations r
        where r.account_id = p_account_id and r.idempotency_key = p_idempotency_key
    ) and not exists (
        select from (
            -- The first key from here on: in this order only the index of keys has them.
            select t.idempotency_key from ducto.credit_transactions t
            where t.account_id = p_account_id and t.idempotency_key >= p_idempotency_key
            order by t.idempotency_key
            limit 1
        ) f
        where f.idempotency_key = p_idempotency_key
    );
end
$$;

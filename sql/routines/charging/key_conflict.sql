-- The refusal of a key that stands for another operation of the account.
create or replace function ducto.key_conflict(
    p_account_id text,
    p_idempotency_key text,
    p_transaction_id bigint,
    p_reservation_id uuid default null
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return ducto.failure('error', 'DU007', jsonb_build_object(
        'user_id', p_account_id, 'idempotency_key', p_idempotency_key
    ) || jsonb_strip_nulls(jsonb_build_object(
        'transaction_id', p_transaction_id,
        'reservation_id', p_reservation_id,
        'message', case when p_idempotency_key is null then format(
            'The reservation %s has been settled by transaction %s, with another amount or usage.',
            p_reservation_id, p_transaction_id
        ) end
    )));
end
$$;

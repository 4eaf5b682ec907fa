-- What an event says about an entry that is no charge. Amounts are positive, as in the results of
-- the calls.
create or replace function ducto.entry_data(
    p_event_type text,
    p_id bigint,
    p_type text,
    p_amount numeric,
    p_allowance_consumed numeric,
    p_balance_after numeric,
    p_reference_id bigint,
    p_idempotency_key text,
    p_metadata jsonb
)
returns jsonb
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'transaction_id', p_id,
        'amount', trim_scale(
            case when p_event_type in ('credits.added', 'credits.refunded') then p_amount
                else -p_amount end
        ),
        'balance_after', trim_scale(p_balance_after),
        'idempotency_key', p_idempotency_key,
        'metadata', coalesce(p_metadata, '{}')
    ) || case p_event_type
        when 'credits.refunded' then jsonb_build_object(
            'refunded_transaction_id', p_reference_id,
            'allowance_restored', trim_scale(-p_allowance_consumed)
        )
        when 'credits.revoked' then jsonb_build_object('revoked_transaction_id', p_reference_id)
        when 'credits.added' then jsonb_build_object('kind', p_type)
        else '{}'
    end;
$$;

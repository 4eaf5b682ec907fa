create or replace function public.ducto_refund(
    p_transaction_id bigint,
    p_amount numeric default null,
    p_reason text default null,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}'
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_charge ducto.entry := ducto.find_transaction(p_transaction_id);
    v_account ducto.account;
    v_entry ducto.entry;
    v_fingerprint bytea := case when p_idempotency_key is not null then ducto.fingerprint(
        'refund', p_transaction_id::text, trim_scale(p_amount)::text
    ) end;
    v_failure jsonb := coalesce(
        ducto.check_arguments(v_charge.account_id, p_idempotency_key, p_metadata, null),
        case when p_amount is not null then ducto.check_amount('p_amount', p_amount) end,
        case when p_amount = 0
            then ducto.invalid('p_amount', 'An amount of 0 refunds nothing.') end,
        ducto.check_reason(p_reason)
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    elsif v_charge.type <> 'usage' then
        perform ducto.raise_error('DU021', jsonb_build_object(
            'transaction_id', p_transaction_id, 'type', v_charge.type
        ));
    end if;
    v_account := ducto.lock_account(v_charge.account_id);
    v_entry := ducto.find_keyed(v_account, p_idempotency_key, v_fingerprint);
    if v_entry.id is not null then
        return ducto.refund_result(v_entry, true);
    end if;
    v_entry := ducto.refund_charge(
        v_account, v_charge, p_amount, ducto.now(), p_idempotency_key, v_fingerprint,
        coalesce(p_metadata, '{}')
            || jsonb_strip_nulls(jsonb_build_object('reason', p_reason))
    );
    return ducto.refund_result(v_entry, false);
end
$$;
comment on function public.ducto_refund(bigint, numeric, text, text, jsonb) is
    'Gives back a charge, or p_amount of it, to the account that paid: to the lots it came from, '
    'the last first, and the allowance part to the allowance. Credits of a lot that has expired '
    'since come back as a lot with the life they had left. Refunds of one charge never exceed it. '
    'Errors: DU007, DU008, DU009, DU017, DU021. Callers: service, admin. Idempotent by '
    'p_idempotency_key.';

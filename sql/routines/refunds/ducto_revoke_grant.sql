create or replace function public.ducto_revoke_grant(
    p_transaction_id bigint,
    p_write_off boolean default false,
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
    v_grant ducto.entry := ducto.find_transaction(p_transaction_id);
    v_lot_id bigint := (v_grant.allocations -> 0 ->> 'lot')::bigint;
    v_account ducto.account;
    v_entry ducto.entry;
    v_now timestamptz;
    v_fingerprint bytea := case when p_idempotency_key is not null then ducto.fingerprint(
        'revoke', p_transaction_id::text, coalesce(p_write_off, false)::text
    ) end;
    v_failure jsonb := coalesce(
        ducto.check_arguments(v_grant.account_id, p_idempotency_key, p_metadata, null),
        ducto.check_reason(p_reason)
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_account := ducto.lock_account(v_grant.account_id);
    perform ducto.find_keyed(v_account, p_idempotency_key, v_fingerprint);
    v_now := ducto.now();
    v_account := ducto.bring_up_to_date(
        v_account, ducto.read_terms(v_account, null, v_now), v_now
    );
    if not exists (
        select from ducto.credit_lots l
        where l.account_id = v_grant.account_id and l.lot_id = v_lot_id
            and l.transaction_id = p_transaction_id
    ) then
        perform ducto.raise_error('DU021', jsonb_build_object(
            'transaction_id', p_transaction_id,
            'type', v_grant.type,
            'message', format('Transaction %s granted no lot, so there is nothing to revoke.',
                p_transaction_id),
            'hint', 'Give a charge back with ducto_refund.'
        ));
    end if;
    select t.* into v_entry
    from ducto.credit_references f
    join ducto.credit_transactions t on t.account_id = f.account_id and t.id = f.transaction_id
    where f.account_id = v_grant.account_id and f.reference_id = p_transaction_id
        and t.type = 'revocation'
    order by t.id
    limit 1;
    if found then
        return ducto.revocation_result(v_entry, v_lot_id, true);
    end if;
    v_entry := ducto.revoke_lot(
        v_account, v_lot_id, coalesce(p_write_off, false), v_now, p_idempotency_key,
        v_fingerprint,
        coalesce(p_metadata, '{}')
            || jsonb_strip_nulls(jsonb_build_object('reason', p_reason))
    );
    return ducto.revocation_result(v_entry, v_lot_id, false);
end
$$;
comment on function public.ducto_revoke_grant(bigint, boolean, text, text, jsonb) is
    'Takes a grant back, for instance a purchase that was charged back: what is left of its lot '
    'goes, and what has been spent of it becomes debt, or is written off with p_write_off true. A '
    'grant is revoked once: again returns the first result. Errors: DU007, DU008, DU017, DU021. '
    'Callers: service, admin. Idempotent.';

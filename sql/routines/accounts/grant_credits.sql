-- A grant: a lot and its ledger row. Debt is paid from it first, so that an account with debt
-- never has spendable lots.
create or replace function ducto.grant_credits(
    p_account ducto.credit_accounts,
    p_now timestamptz,
    p_amount numeric,
    p_type text,
    p_category text,
    p_expires_at timestamptz,
    p_priority integer,
    p_idempotency_key text,
    p_fingerprint bytea,
    p_metadata jsonb
)
returns ducto.credit_transactions
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lot_id bigint;
    v_allocations jsonb;
    v_entry ducto.credit_transactions;
begin
    insert into ducto.credit_lots (
        account_id, kind, category, amount, remaining, priority, effective_at, expires_at,
        created_at
    ) values (
        p_account.account_id, p_type,
        coalesce(p_category, case when p_type in ('promo', 'signup_bonus', 'rollover')
            then 'promotional' else 'paid' end),
        p_amount, p_amount, coalesce(p_priority, 100), p_now, p_expires_at, p_now
    )
    returning lot_id into v_lot_id;
    v_allocations := jsonb_build_array(
        jsonb_build_object('lot', v_lot_id, 'amount', trim_scale(p_amount))
    ) || ducto.pay_debt(p_account.account_id, v_lot_id);
    v_entry := ducto.write_entry(
        p_account.account_id, p_type, p_amount, v_allocations, p_now, p_idempotency_key,
        p_fingerprint, p_metadata
    );
    update ducto.credit_lots l set transaction_id = v_entry.id
    where l.account_id = p_account.account_id and l.lot_id = v_lot_id;
    perform ducto.check_thresholds(
        p_account,
        (select c.low_balance_thresholds from ducto.credit_pricing_config c where c.active),
        v_entry.balance_after,
        ducto.read_allowance(p_account.account_id),
        p_now,
        false
    );
    return v_entry;
end
$$;
comment on function ducto.grant_credits(
    ducto.credit_accounts, timestamptz, numeric, text, text, timestamptz, integer, text, bytea,
    jsonb
) is
    'Grants p_amount to the locked account; the lot is the first of the entry''s allocations.';

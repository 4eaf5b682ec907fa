-- A grant: a lot and its ledger row. Debt is paid from it first, at once, as far as the lot goes.
create or replace function ducto.grant_credits(
    p_account ducto.account,
    p_now timestamptz,
    p_amount numeric,
    p_type text,
    p_category text,
    p_expires_at timestamptz,
    p_priority integer,
    p_idempotency_key text,
    p_fingerprint bytea,
    p_metadata jsonb,
    p_plan_key text default null,
    p_period_start timestamptz default null
)
returns ducto.granted
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.entry;
    v ducto.account := p_account;
    v_paid numeric := least(p_account.debt, p_amount);
    v_lot_id bigint := nextval('ducto.credit_lots_lot_id_seq');
    v_allocations jsonb;
begin
    v_allocations := jsonb_build_array(
        jsonb_build_object('lot', v_lot_id, 'amount', trim_scale(p_amount))
    );
    if v_paid > 0 then
        v_allocations := v_allocations || jsonb_build_array(
            jsonb_build_object('lot', v_lot_id, 'amount', -trim_scale(v_paid)),
            jsonb_build_object('debt', -trim_scale(v_paid))
        );
    end if;
    v.debt := v.debt - v_paid;
    v.balance := v.balance + p_amount;
    v.granted := v.granted + p_amount;
    v.stale_at := least(v.stale_at, p_expires_at);
    v_entry := ducto.write_entry(
        v, p_type, p_amount, v_allocations, p_now, p_idempotency_key, p_fingerprint, p_metadata
    );
    insert into ducto.credit_lots (
        account_id, lot_id, kind, category, amount, remaining, live, priority, effective_at,
        expires_at, plan_key, period_start, transaction_id, created_at
    )
    overriding system value
    values (
        v.account_id, v_lot_id, p_type,
        coalesce(p_category, case when p_type in ('promo', 'signup_bonus', 'rollover')
            then 'promotional' else 'paid' end),
        p_amount, p_amount - v_paid, p_amount > v_paid, coalesce(p_priority, 100), p_now,
        p_expires_at, p_plan_key, p_period_start, v_entry.id, p_now
    );
    return row(v, v_entry)::ducto.granted;
end
$$;
comment on function ducto.grant_credits(
    ducto.account, timestamptz, numeric, text, text, timestamptz, integer, text, bytea, jsonb,
    text, timestamptz
) is
    'Grants p_amount to the locked account, which is returned and not yet saved; the lot is the '
    'first of the entry''s allocations.';

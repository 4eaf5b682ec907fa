-- Writes a lot that ducto.due_lots found due. The key (account, plan, period) makes the allowance
-- of a period one lot: a larger allowance in the same period adds the difference to it.
create or replace function ducto.grant_due_lot(
    p_account ducto.credit_accounts,
    p_plan_key text,
    p_lot ducto.lot,
    p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.credit_transactions;
begin
    if p_lot.kind = 'rollover' then
        v_entry := ducto.grant_credits(
            p_account, p_now, p_lot.remaining, p_lot.kind, p_lot.category, p_lot.expires_at,
            p_lot.priority, null, null, null
        );
        update ducto.credit_lots l set plan_key = p_plan_key, period_start = p_lot.created_at
        where l.account_id = p_account.account_id
            and l.lot_id = (v_entry.allocations -> 0 ->> 'lot')::bigint;
        return;
    end if;
    insert into ducto.credit_lots as l (
        account_id, kind, category, amount, remaining, priority, effective_at, expires_at,
        plan_key, period_start, created_at
    ) values (
        p_account.account_id, p_lot.kind, p_lot.category, p_lot.remaining, p_lot.remaining,
        p_lot.priority, p_lot.created_at, p_lot.expires_at, p_plan_key, p_lot.created_at, p_now
    )
    on conflict (account_id, plan_key, period_start) where kind = 'allowance'
    do update set
        amount = l.amount + excluded.amount,
        remaining = l.remaining + excluded.remaining,
        expires_at = greatest(l.expires_at, excluded.expires_at),
        live = true;
end
$$;

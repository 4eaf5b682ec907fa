-- Writes a lot that ducto.due_lots found due. The key (account, plan, period) makes the allowance
-- of a period one lot: a larger allowance in the same period adds the difference to it.
create or replace function ducto.grant_due_lot(
    p_account ducto.account,
    p_plan_key text,
    p_lot ducto.lot,
    p_now timestamptz
)
returns ducto.account
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
begin
    if p_lot.kind = 'rollover' then
        return (ducto.grant_credits(
            v, p_now, p_lot.remaining, p_lot.kind, p_lot.category, p_lot.expires_at,
            p_lot.priority, null, null, null, p_plan_key, p_lot.period_start
        )).account;
    end if;
    insert into ducto.credit_lots as l (
        account_id, kind, category, amount, remaining, priority, effective_at, expires_at,
        plan_key, period_start, created_at
    ) values (
        v.account_id, p_lot.kind, p_lot.category, p_lot.remaining, p_lot.remaining,
        p_lot.priority, p_lot.period_start, p_lot.expires_at, p_plan_key, p_lot.period_start, p_now
    )
    on conflict (account_id, plan_key, period_start) where kind = 'allowance'
    do update set
        amount = l.amount + excluded.amount,
        remaining = l.remaining + excluded.remaining,
        expires_at = greatest(l.expires_at, excluded.expires_at),
        live = true;
    v.allowance := v.allowance + p_lot.remaining;
    v.stale_at := least(v.stale_at, p_lot.expires_at);
    return v;
end
$$;
comment on function ducto.grant_due_lot(ducto.account, text, ducto.lot, timestamptz) is
    'The account with the lot, not yet saved.';

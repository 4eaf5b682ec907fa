-- Lots as they are, what charges have drawn and not yet written taken into account.
create or replace view ducto.lots_now
with (security_invoker = true) as
select
    l.account_id,
    l.lot_id,
    l.kind,
    l.free,
    l.category,
    l.amount,
    case when a.draw_lot = l.lot_id then l.remaining - a.drawn else l.remaining end as remaining,
    l.forfeited,
    l.live and (a.draw_lot = l.lot_id and l.remaining = a.drawn) is not true as live,
    l.priority,
    l.effective_at,
    l.expires_at,
    l.plan_key,
    l.period_start,
    l.transaction_id,
    l.revoked_at,
    l.created_at
from ducto.credit_lots l
join ducto.credit_accounts a on a.account_id = l.account_id;
comment on view ducto.lots_now is
    'Lots with remaining less what is drawn and not yet written.';

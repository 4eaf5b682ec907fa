-- Accounts as they are, what charges have drawn and not yet written taken into account: every
-- reading without a lock goes through here. Lapsed lots and holds are ducto.foresee's.
create or replace view ducto.accounts_now
with (security_invoker = true) as
select
    a.account_id,
    a.kind,
    a.plan_key,
    a.plan_since,
    a.period_anchor,
    a.allowance_until,
    a.allowance_version,
    a.status,
    a.has_caps,
    a.keyed_holds,
    a.alerted_below,
    a.created_at,
    a.debt,
    a.balance - case when a.draw_free then 0 else a.drawn end as balance,
    a.allowance - case when a.draw_free then a.drawn else 0 end as allowance,
    a.held,
    a.granted,
    a.spent + case when a.draw_free then 0 else a.drawn end as spent,
    a.stale_at,
    a.draw_lot,
    a.draw_free,
    a.headroom_version,
    a.headroom_plan,
    a.headroom_models,
    a.headroom_except,
    a.headroom_until,
    a.hold_floor,
    a.drawn,
    a.headroom
from ducto.credit_accounts a;
comment on view ducto.accounts_now is
    'Accounts with balance, allowance and spent less what is drawn and not yet written.';

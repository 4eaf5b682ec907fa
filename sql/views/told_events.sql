-- The feed: events that entries of the ledger tell, and those of their own.
create or replace view ducto.told_events
with (security_invoker = true) as
select
    l.id as event_id,
    l.type,
    l.user_id,
    l.team_id,
    l.occurred_at,
    l.data
from ducto.ledger_events as l
union all
select
    e.id,
    e.type,
    e.actor_id,
    (
        select a.account_id from ducto.credit_accounts as a
        where a.account_id = e.account_id and a.kind = 'team'
    ),
    e.created_at,
    e.data
from ducto.credit_events as e;
comment on view ducto.told_events is
    'All events as consumers get them, also those that are not committed yet.';

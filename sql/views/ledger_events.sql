-- What the ledger tells: each entry as its event. What users paid themselves is no team's.
create or replace view ducto.ledger_events
with (security_invoker = true) as
select
    t.id,
    t.xid,
    t.account_id,
    e.type,
    t.actor_id as user_id,
    case when t.type <> 'usage' or t.actor_id <> t.account_id then (
        select a.account_id from ducto.credit_accounts as a
        where a.account_id = t.account_id and a.kind = 'team'
    ) end as team_id,
    t.created_at as occurred_at,
    -- Most are charges: a call for each would cost as much as the rest.
    case when t.type = 'usage' then to_jsonb(row(
        t.id, trim_scale(t.allowance_consumed - t.amount), trim_scale(t.allowance_consumed),
        trim_scale(-t.amount), trim_scale(t.balance_after), t.model, t.operation, t.metrics,
        t.pricing_version, t.reservation_id, t.occurred_at, t.idempotency_key,
        coalesce(t.metadata, '{}')
    )::ducto.charge_data) else ducto.entry_data(
        e.type, t.id, t.type::text, t.amount, t.allowance_consumed, t.balance_after, t.reference_id,
        t.idempotency_key, t.metadata
    ) end as data
from ducto.credit_transactions as t
cross join lateral (
    select case t.type
        when 'usage' then 'credits.deducted'
        when 'refund' then 'credits.refunded'
        when 'expiry' then 'credits.expired'
        when 'revocation' then 'credits.revoked'
        else case when t.amount < 0 then 'credits.adjusted' else 'credits.added' end
    end
) as e (type);
comment on view ducto.ledger_events is 'The entries of the ledger as consumers of events get them.';

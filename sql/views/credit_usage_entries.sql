-- Usage as analytics count it: a row per charge, and one per refund, which counts against the time,
-- the model and the operation of its charge. Names are cut to what the rollup's key has room for,
-- tokens are whole ones and so many that their sums fit.
create or replace view ducto.credit_usage_entries
with (security_invoker = true) as
select
    t.id,
    t.account_id,
    -- What users pay themselves, which is most, is not looked up.
    case when t.account_id <> t.actor_id then coalesce((
        select a.account_id from ducto.credit_accounts as a
        where a.account_id = t.account_id and a.kind = 'team'
    ), '') else '' end as team_id,
    t.actor_id,
    coalesce(c.happened_at, t.occurred_at, t.created_at) as happened_at,
    coalesce(left(case t.type when 'refund' then c.model else t.model end, 120), '') as model,
    coalesce(left(case t.type when 'refund' then c.operation else t.operation end, 120), '')
        as operation,
    case t.type when 'refund' then 0::bigint else 1::bigint end as charges,
    -t.amount as spent,
    t.allowance_consumed,
    case t.type when 'refund' then t.amount - t.allowance_consumed else 0 end as refunded,
    case jsonb_typeof(t.metrics -> 'input_tokens') when 'number'
        then least((t.metrics -> 'input_tokens')::numeric, 100000000000)::bigint else 0
    end as input_tokens,
    case jsonb_typeof(t.metrics -> 'output_tokens') when 'number'
        then least((t.metrics -> 'output_tokens')::numeric, 100000000000)::bigint else 0
    end as output_tokens,
    case jsonb_typeof(t.metrics -> 'cache_read_tokens') when 'number'
        then least((t.metrics -> 'cache_read_tokens')::numeric, 100000000000)::bigint else 0
    end as cache_read_tokens,
    case jsonb_typeof(t.metrics -> 'cache_write_tokens') when 'number'
        then least((t.metrics -> 'cache_write_tokens')::numeric, 100000000000)::bigint else 0
    end as cache_write_tokens
from ducto.credit_transactions as t
left join lateral (
    -- The offset keeps this a look-up per refund, where a join would read the ledger twice.
    select coalesce(r.occurred_at, r.created_at) as happened_at, r.model, r.operation
    from ducto.credit_transactions as r
    where t.type = 'refund' and r.account_id = t.account_id and r.id = t.reference_id
    offset 0
) as c on true
where t.type in ('usage', 'refund');
comment on view ducto.credit_usage_entries is
    'Charges and refunds of the ledger as analytics count them: spent and allowance_consumed are '
    'negative for a refund, refunded is what it gave back.';

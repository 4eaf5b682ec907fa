-- Writes the entries of charges that have been taken out of their accounts' headroom, all at once,
-- and returns their results. Their keys are known to be new.
create or replace function ducto.book_together(p_bookings ducto.booking[])
returns table (place integer, result jsonb)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_ids bigint[];
begin
    with entry as (
        insert into ducto.credit_transactions (
            account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, lot_id, metrics, model, breakdown, pricing_version, plan_key,
            idempotency_key, metadata, occurred_at, created_at
        )
        select b.account_id, b.account_id, 'usage', b.free - b.cost, b.balance_after,
            nullif(b.available_after, b.balance_after), b.free, b.lot_id, b.metrics,
            b.metrics ->> 'model',
            case when b.exact <> b.cost then ducto.model_breakdown(b.exact, b.cost) end,
            b.version, b.plan_key, b.idempotency_key, b.metadata, b.occurred_at, b.created_at
        from unnest(p_bookings) b
        order by b.place
        returning id
    )
    select array_agg(e.id order by e.id) into v_ids from entry e;
    return query
    select b.place, to_jsonb(row(
        'ok', v_ids[b.nth], b.account_id, null, b.metrics ->> 'model', b.cost, b.free,
        b.cost - b.free, trim_scale(b.balance_after), trim_scale(b.available_after), b.version,
        ducto.model_breakdown(b.exact, b.cost), '[]', false
    )::ducto.receipt)
    from (
        select u.*, row_number() over (order by u.place) as nth from unnest(p_bookings) u
    ) b;
end
$$;

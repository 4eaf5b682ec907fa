-- The usual charges of a batch, all in one statement: the prices, one update that takes what each
-- account's charges come to out of its headroom, one insert that writes the entries and builds the
-- results, under the conditions of ducto_deduct. An account takes part where all its charges are
-- simply usage whose price is a sum of products, none under a key that is used, and its headroom
-- holds them together; the others are left alone. Call it with the accounts locked: its snapshot
-- then knows all of their keys. It is planned once; every look at a table is lateral or compares
-- with an array: one look by index for each charge, whatever the statistics were then.
create or replace function ducto.draw_together(
    p_items jsonb[],
    out places integer[],
    out results jsonb
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
    with drawn as (
        update ducto.credit_accounts a set
            drawn = a.drawn + p.cost,
            headroom = a.headroom - p.cost
        from (
            select min(i.account_id) as account_id, max(i.version) as version,
                max(i.plain_except) as plain_except, sum(i.cost) as cost,
                bool_or(i.key is not null) as keyed,
                array_agg(row(
                    i.place, i.metrics, i.exact, i.cost, i.change, i.key, i.metadata,
                    i.occurred_at
                )::ducto.booking) as bookings
            from (
                select c.*, r.version, r.plain_except, r.exact, e.cost, k.used,
                    -sum(e.cost) over (partition by c.sorted order by c.place) as change
                from (
                    select u.place, u.item, u.item ->> 'user_id' as account_id,
                        -- A collation of its own would follow the id into every look-up.
                        u.item ->> 'user_id' collate "C" as sorted,
                        u.item -> 'metrics' as metrics, u.item ->> 'idempotency_key' as key,
                        nullif(nullif(u.item -> 'metadata', 'null'), '{}') as metadata,
                        case when u.item ->> 'occurred_at' is not null
                            then ducto.read_instant(u.item ->> 'occurred_at') end as occurred_at
                    from unnest(p_items) with ordinality u (item, place)
                    where u.item is not null
                        and coalesce(current_setting('ducto.clock', true), '') = ''
                    offset 0
                ) c
                left join lateral (
                    select l.version, l.plain_except, l.scale, l.constant
                        + coalesce((c.metrics -> l.metric_1)::numeric * l.factor_1, 0)
                        + coalesce((c.metrics -> l.metric_2)::numeric * l.factor_2, 0)
                        + coalesce((c.metrics -> l.metric_3)::numeric * l.factor_3, 0)
                        + coalesce((c.metrics -> l.metric_4)::numeric * l.factor_4, 0) as exact
                    from ducto.credit_linear_rates l
                    where l.model = c.metrics -> 'model'
                        and case when c.item @> '{"metrics": {}}'
                            then c.item - '{
                                    user_id,metrics,idempotency_key,metadata,occurred_at
                                }'::text[] = '{}'
                                and jsonb_typeof(c.item -> 'user_id') = 'string'
                                and (c.key is null
                                    or jsonb_typeof(c.item -> 'idempotency_key') = 'string'
                                    and length(c.key) between 1 and 255)
                                and (c.metadata is null or jsonb_typeof(c.metadata) = 'object'
                                    and octet_length(c.metadata::text) <= 65536)
                                and (c.item ->> 'occurred_at' is null
                                    or c.occurred_at <= clock_timestamp())
                                and c.metrics - l.metrics = '{}'
                                and not c.metrics ? 'operation'
                                and not c.metrics - 'model' @? 'strict $.* ? (
                                    @.type() != "number" || @ < 0 || @ > 100000000000
                                    || @.floor() != @)'
                                and octet_length(c.metrics::text) < 65536 end
                    limit 1
                ) r on true
                cross join lateral (
                    select trim_scale(round(r.exact, r.scale)) as cost offset 0
                ) e
                left join lateral (
                    select true as used from ducto.credit_transactions t
                    where t.account_id = c.account_id
                        and t.idempotency_key between c.key and c.key
                    -- In this order only the index of keys has them.
                    order by t.idempotency_key limit 1
                ) k on true
            ) i
            group by i.sorted
            having bool_and(i.cost is not null and i.used is null)
                -- A distinct count outright would sort for each account.
                and (count(i.key) < 2 or count(i.key) =
                    (select count(distinct n.key) from unnest(array_agg(i.key)) n (key)))
        ) p
        where a.account_id = any (array[p.account_id])
            and a.kind = 'user'
            and a.headroom >= p.cost
            and a.headroom_version = p.version
            and a.headroom_until >= clock_timestamp() and a.headroom_caps is null
            and (a.headroom_plan = any (p.plain_except)) is not true
            and not (a.keyed_holds and p.keyed)
        returning p.account_id, p.version, p.bookings, a.draw_lot, a.draw_free, a.headroom_plan,
            a.balance - case when a.draw_free then 0 else a.drawn - p.cost end as balance,
            a.balance + a.allowance - a.held - a.drawn + p.cost as available,
            least(clock_timestamp(), a.headroom_until) as created_at
    ), entry as (
        insert into ducto.credit_transactions as t (
            account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, lot_id, metrics, model, breakdown, pricing_version, plan_key,
            idempotency_key, metadata, occurred_at, created_at
        )
        select d.account_id, d.account_id, 'usage', f.free - b.cost, f.balance,
            nullif(d.available + b.change, f.balance), f.free,
            case when b.cost > 0 then d.draw_lot end, b.metrics, b.metrics ->> 'model',
            case when b.exact <> b.cost then ducto.model_breakdown(b.exact, b.cost) end,
            d.version, d.headroom_plan, b.idempotency_key, b.metadata, b.occurred_at, d.created_at
        from drawn d
        cross join lateral unnest(d.bookings) b
        cross join lateral (
            select case when d.draw_free then b.cost else 0 end,
                d.balance + case when d.draw_free then 0 else b.change end
        ) f (free, balance)
        order by b.place
        returning t.id, row(
            'ok', t.id, t.account_id, null, t.model, trim_scale(t.allowance_consumed - t.amount),
            trim_scale(t.allowance_consumed), trim_scale(-t.amount), trim_scale(t.balance_after),
            trim_scale(coalesce(t.available_after, t.balance_after)), t.pricing_version,
            coalesce(t.breakdown, concat(
                '{"tools":0,"search":0,"cache":0,"fixed":0,"model":',
                trim_scale(t.allowance_consumed - t.amount), ',"total":',
                trim_scale(t.allowance_consumed - t.amount), '}'
            )::jsonb), '[]', false
        )::ducto.receipt as receipt
    )
    select
        (select array_agg(b.place order by b.place) from drawn d, unnest(d.bookings) b),
        (select to_jsonb(array_agg(e.receipt order by e.id)) from entry e)
    into places, results;
end
$$;
comment on function ducto.draw_together(jsonb[]) is
    'p_items: charges of a batch, null where one is done. places: from 1, of those charged now; '
    'results: theirs, in the same order.';

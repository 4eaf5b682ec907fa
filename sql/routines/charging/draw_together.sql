-- The usual charges of a batch, all in one statement: one update that takes what each account's
-- charges come to out of its headroom, one insert that writes the entries, under the conditions of
-- ducto_deduct. An account takes part where all its charges have a price, none is under a key that
-- is used, and its headroom holds them together; the others are only locked, all in one order. What
-- was read of an account holds when it is drawn on, the keys in its ledger too: the very row that
-- was read is updated (ctid), and who writes entries writes the row. One that somebody else has
-- written meanwhile is only locked. The statement is planned once; every look at a table is lateral
-- or by the row's place: one by index for each charge and account, whatever the statistics were.
create or replace function ducto.draw_together(
    p_bookings ducto.booking[],
    p_locked boolean,
    out places integer[],
    out results jsonb,
    out again boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashagg = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
    with payer as materialized (
        select g.account_id, g.cost, g.bookings, a.ctid as found, a.xmin as seen, (
            g.usual
            and (g.keys < 2 or g.keys =
                (select count(distinct b.idempotency_key) from unnest(g.bookings) b))
            and a.kind = 'user'
            and a.headroom >= g.cost
            -- Another version may have become active since the charges were priced.
            and g.version = r.version and a.headroom_version = g.version
            and a.headroom_until >= clock_timestamp()
            and a.headroom_models is null
            and (a.headroom_plan = any (r.plain_except)) is not true
            and not (a.keyed_holds and g.keys > 0)
            and (current_setting('ducto.clock', true) <> '') is not true
        ) is true as fits
        from (
            -- A collation of its own would follow the id into every look-up.
            select i.sorted collate "default" as account_id, sum((i.b).cost) as cost,
                min((i.b).version) as version, count((i.b).idempotency_key) as keys,
                array_agg(i.b) as bookings,
                bool_and((i.b).cost is not null and i.used is null) as usual
            from (
                select x.b, (x.b).account_id collate "C" as sorted, k.used
                from (select unnest(p_bookings) as b offset 0) x
                left join lateral (
                    select true as used from ducto.credit_transactions t
                    where t.account_id = (x.b).account_id
                        and t.idempotency_key
                            between (x.b).idempotency_key and (x.b).idempotency_key
                    -- In this order only the index of keys has them.
                    order by t.idempotency_key limit 1
                ) k on true
                order by 2, (x.b).place
            ) i
            group by i.sorted
            order by i.sorted
        ) g
        left join (select l.* from ducto.credit_linear_rates l order by l.model limit 1) r on true
        left join lateral (
            select a.ctid, a.xmin, a.* from ducto.credit_accounts a
            where a.account_id = g.account_id limit 1
        ) a on true
    ), drawn as (
        update ducto.credit_accounts a set
            drawn = a.drawn + p.cost,
            headroom = a.headroom - p.cost
        from (
            select p.cost, p.bookings, p.seen, case when p.fits then p.found else (
                    select null::tid from ducto.credit_accounts o
                    where o.account_id = p.account_id for no key update
                ) end as place
            from payer p
            -- One that is created must not wait for locks that come after its own.
            where p_locked or not exists (select from payer o where o.found is null)
            offset 0
        ) p
        where a.ctid = p.place and a.xmin = p.seen
        returning p.bookings, a.draw_lot, a.draw_free, a.headroom_plan,
            a.balance - case when a.draw_free then 0 else a.drawn - p.cost end as balance,
            a.balance + a.allowance - a.held - a.drawn + p.cost as available,
            least(clock_timestamp(), a.headroom_until) as created_at
    ), charge as materialized (
        select c.*, nextval('ducto.credit_transactions_id_seq') as id
        from (
            select d.draw_lot, d.headroom_plan, d.created_at, b.*,
                b.metrics ->> 'model' as model,
                case when d.draw_free then b.cost else 0 end as free,
                d.balance + case when d.draw_free then 0 else b.change end as balance,
                d.available + b.change as available
            from drawn d cross join lateral unnest(d.bookings) b
            order by b.place
        ) c
    ), entry as (
        insert into ducto.credit_transactions (
            id, account_id, actor_id, type, amount, balance_after, available_after,
            allowance_consumed, lot_id, metrics, model, breakdown, pricing_version, plan_key,
            idempotency_key, metadata, occurred_at, created_at
        )
        overriding system value
        select c.id, c.account_id, c.account_id, 'usage', c.free - c.cost, c.balance,
            nullif(c.available, c.balance), c.free, case when c.cost > 0 then c.draw_lot end,
            c.metrics, c.model,
            case when c.exact <> c.cost then ducto.model_breakdown(c.exact, c.cost) end,
            c.version, c.headroom_plan, c.idempotency_key, c.metadata, c.occurred_at, c.created_at
        from charge c
    )
    select case when p_locked or not exists (select from payer p where p.found is null)
            then array(select c.place from charge c) end,
        to_jsonb(array(select row(
            c.cost, c.model, trim_scale(c.cost - c.free), 'ok', null, c.account_id, false, '[]',
            row(0, 0, trim_scale(c.exact), 0, c.cost, 0)::ducto.plain_parts,
            trim_scale(c.balance), c.id, trim_scale(c.available), c.version, c.free
        )::ducto.plain_receipt from charge c)),
        (select count(*) from payer p where p.fits) > (select count(*) from drawn)
    into places, results, again;
end
$$;
comment on function ducto.draw_together(ducto.booking[], boolean) is
    'p_bookings: by ducto.price_together; p_locked: all their accounts are locked. places: from 1, '
    'of those charged now; null: nothing was done, because an account is missing. results: theirs, '
    'in the same order. again: somebody else had written an account meanwhile; now all are locked.';

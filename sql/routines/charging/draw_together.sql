-- The charges of one account in a batch, taken out of its headroom with one update, as ducto_deduct
-- takes one. Null where the headroom does not hold them all, or one of them is not simply a usage
-- with a price that is a sum of products: nothing is taken then, and each goes its own way.
create or replace function ducto.draw_together(
    p_account_id text,
    p_places integer[],
    p_items jsonb[]
)
returns ducto.booking[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    v ducto.booking;
    v_exact numeric[];
    v_costs numeric[];
    v_free boolean;
begin
    update ducto.credit_accounts a set
        drawn = a.drawn + p.cost,
        headroom = a.headroom - p.cost
    from (
        select max(n.version) as version, max(n.plain_except) as plain_except,
            sum(n.cost) as cost, array_agg(n.exact order by n.place) as exact,
            array_agg(n.cost order by n.place) as costs,
            bool_or(n.key is not null) as keyed
        from (
            select i.place, i.item ->> 'idempotency_key' as key, r.version, r.plain_except,
                e.exact, trim_scale(round(e.exact, r.scale)) as cost
            from unnest(p_items) with ordinality i (item, place)
            left join ducto.credit_linear_rates r
                on r.model = i.item -> 'metrics' -> 'model'
                and not i.item -> 'metrics' ? 'operation'
                and case when i.item -> 'metrics' @> '{}'
                    then (i.item -> 'metrics') - r.metrics = '{}'
                    and not (i.item -> 'metrics') - 'model' @? 'strict $.* ? (
                        @.type() != "number" || @ < 0 || @ > 100000000000 || @.floor() != @)' end
            cross join lateral (
                select r.constant
                    + coalesce((i.item -> 'metrics' -> r.metric_1)::numeric * r.factor_1, 0)
                    + coalesce((i.item -> 'metrics' -> r.metric_2)::numeric * r.factor_2, 0)
                    + coalesce((i.item -> 'metrics' -> r.metric_3)::numeric * r.factor_3, 0)
                    + coalesce((i.item -> 'metrics' -> r.metric_4)::numeric * r.factor_4, 0)
                    as exact
                offset 0
            ) e
            offset 0
        ) n
        having bool_and(n.cost is not null and coalesce(length(n.key) between 1 and 255, true))
            and count(n.key) = count(distinct n.key)
    ) p
    where a.account_id = p_account_id
        and a.kind = 'user'
        and a.headroom >= p.cost
        and a.headroom_version = p.version
        and a.headroom_until > clock_timestamp()
        and (a.headroom_plan = any (p.plain_except)) is not true
        and not (a.keyed_holds and p.keyed)
        and coalesce(current_setting('ducto.clock', true), '') = ''
    returning a.kind, a.draw_lot, p.version, a.headroom_plan, a.draw_free,
        a.balance - case when a.draw_free then 0 else a.drawn - p.cost end,
        a.balance + a.allowance - a.held - a.drawn + p.cost,
        least(clock_timestamp(), a.headroom_until - interval '1 microsecond'), p.exact, p.costs
    into v.kind, v.lot_id, v.version, v.plan_key, v_free, v.balance_after, v.available_after,
        v.created_at, v_exact, v_costs;
    if not found then
        return null;
    end if;
    return array(
        select row(
            i.place, p_account_id, v.kind, i.item -> 'metrics', trim_scale(i.exact), i.cost,
            case when v_free then i.cost else 0 end,
            v.balance_after - case when v_free then 0 else sum(i.cost) over upto end,
            v.available_after - sum(i.cost) over upto,
            case when i.cost > 0 then v.lot_id end, v.version, v.plan_key,
            i.item ->> 'idempotency_key', nullif(nullif(i.item -> 'metadata', 'null'), '{}'),
            ducto.read_instant(i.item ->> 'occurred_at'), v.created_at
        )::ducto.booking
        from unnest(p_places, p_items, v_exact, v_costs) i (place, item, exact, cost)
        window upto as (order by i.place)
    );
end
$$;
comment on function ducto.draw_together(text, integer[], jsonb[]) is
    'p_items: charges that have passed ducto.check_batch_item, in their order; p_places: of each '
    'in the batch.';

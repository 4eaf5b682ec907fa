-- The charges of a batch that need no decision, in one statement for all of them: of accounts
-- without plan, caps, holds and debt, whose one lot pays everything that the batch takes from it.
-- Their results are those of ducto.charge, one by one; whatever else an account or an item brings
-- is left to ducto.charge. Call it with the accounts locked.
create or replace function ducto.charge_together(p_charges jsonb)
returns jsonb[]
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
    v_version integer;
    v_floor numeric;
    v_results jsonb[] := array_fill(null::jsonb, array[jsonb_array_length(p_charges)]);
    v_place bigint;
    v_result jsonb;
begin
    select c.version, greatest(c.min_balance, 0) into v_version, v_floor
    from ducto.credit_pricing_config c
    where c.active and c.default_plan_key is null and c.low_balance_thresholds = '{}';
    if v_version is null then
        return v_results;
    end if;
    for v_place, v_result in
        with charge as materialized (
            select p.*, l.lot_id, l.remaining,
                l.remaining - sum(p.cost) over (partition by p.user_id order by p.place) as after,
                row_number() over (partition by p.user_id order by p.place) as nth
            from ducto.price_batch(p_charges, v_version) p
            join ducto.plain_lots(p_charges, v_now) l on l.account_id = p.user_id
            where p.user_cost <= l.remaining - v_floor
        ), entry as (
            insert into ducto.credit_transactions as t (
                account_id, actor_id, type, amount, balance_after, available_after, allocations,
                metrics, model, operation, breakdown, pricing_version, warnings,
                idempotency_key, metadata, created_at
            )
            select
                c.user_id, c.user_id, 'usage', -c.cost, c.after, c.after,
                case when c.cost > 0 then jsonb_build_array(
                    jsonb_build_object('lot', c.lot_id, 'amount', -trim_scale(c.cost))
                ) end,
                c.metrics, c.price ->> 'model', c.metrics ->> 'operation',
                c.price -> 'breakdown', v_version, nullif(c.price -> 'warnings', '[]'),
                c.idempotency_key, nullif(c.metadata, '{}'), v_now
            from charge c
            order by c.place
            returning t as entry, t.account_id, t.id
        ), lot as (
            update ducto.credit_lots l set
                remaining = l.remaining - t.cost, live = l.remaining - t.cost > 0
            from (select c.user_id, c.lot_id, sum(c.cost) as cost from charge c group by 1, 2) t
            where l.account_id = t.user_id and l.lot_id = t.lot_id
        )
        select c.place, ducto.charge_result(e.entry, 'user', false)
        from charge c
        join (
            select w.*, row_number() over (partition by w.account_id order by w.id) as nth
            from entry w
        ) e on e.account_id = c.user_id and e.nth = c.nth
    loop
        v_results[v_place] := v_result;
    end loop;
    return v_results;
end
$$;
comment on function ducto.charge_together(jsonb) is
    'One element per charge of the batch: its result, or null where ducto.charge has to see it.';

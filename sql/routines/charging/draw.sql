-- The order of consumption: allowance first, then priority, soonest expiry (never last),
-- promotional before paid, oldest first. Charges, quotes, holds and settlements share it. A charge
-- reads the lots it draws on and no others: the index credit_lots_order has this very order, and
-- the settings keep a plan from doing without it, whatever the statistics were when it was made.
create or replace function ducto.draw(
    p_account ducto.account,
    p_cost numeric,
    p_now timestamptz,
    p_allowance boolean default true,
    p_due ducto.lot[] default '{}'
)
returns ducto.draft
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set enable_sort = off
set jit = off
as $$
declare
    v ducto.draft;
    v_order refcursor;
    v_ids bigint[];
    v_takes numeric[];
    v_left numeric := p_cost;
    v_free numeric := 0.0;
    v_lot record;
    v_take numeric;
begin
    if p_due = '{}' then
        open v_order no scroll for
            select l.lot_id, l.free, l.remaining from ducto.credit_lots l
            where l.account_id = p_account.account_id and l.live and l.effective_at <= p_now
                and (l.expires_at is null or l.expires_at > p_now) and (p_allowance or not l.free)
            order by l.free desc, l.priority, l.expires_at, l.category desc, l.lot_id;
    else
        -- A reading, with lots that a charge would first write down.
        open v_order no scroll for
            select l.lot_id, l.free, l.remaining, l.priority, l.expires_at, l.category::text
            from ducto.credit_lots l
            where l.account_id = p_account.account_id and l.live and l.effective_at <= p_now
                and (l.expires_at is null or l.expires_at > p_now) and (p_allowance or not l.free)
            union all
            select null, d.kind = 'allowance', d.remaining, d.priority, d.expires_at, d.category
            from unnest(p_due) d
            order by free desc, priority, expires_at, category desc, lot_id;
    end if;
    while v_left > 0 loop
        fetch v_order into v_lot;
        exit when not found;
        v_take := least(v_left, v_lot.remaining
            - case when v_lot.lot_id = p_account.draw_lot then p_account.drawn else 0 end);
        continue when v_take <= 0;
        v_ids := array_append(v_ids, v_lot.lot_id);
        v_takes := array_append(v_takes, v_take);
        v_left := v_left - v_take;
        if v_lot.free then
            v_free := v_free + v_take;
        end if;
    end loop;
    close v_order;
    v.cost := p_cost;
    v.free := v_free;
    v.amount := p_cost - v_free;
    v.debt := v_left;
    v.lots := v_ids;
    v.takes := v_takes;
    return v;
end
$$;
comment on function ducto.draw(ducto.account, numeric, timestamptz, boolean, ducto.lot[]) is
    'Which lots pay p_cost, each how much; debt: what none can pay. p_allowance false: without the '
    'allowance. p_due: lots that are due but not yet written (lot id null).';

-- The walk over an account's lots that ducto.assess makes, with lots among them that are due but
-- not yet written. Only reading meets any: a charge writes them down first. The order must be the
-- same.
create or replace function ducto.draw_due(
    p_account_id text,
    p_due ducto.lot[],
    p_cost numeric,
    p_now timestamptz,
    out balance numeric,
    out allowance numeric,
    out allocations jsonb,
    out unpaid numeric
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lot record;
    v_take numeric;
begin
    balance := 0.0;
    allowance := 0.0;
    unpaid := p_cost;
    for v_lot in
        select l.lot_id, l.kind = 'allowance' as free, l.remaining, l.expires_at, l.priority,
            l.category
        from ducto.credit_lots l
        where l.account_id = p_account_id and l.live and l.effective_at <= p_now
            and (l.expires_at is null or l.expires_at > p_now)
        union all
        select null, d.kind = 'allowance', d.remaining, d.expires_at, d.priority, d.category
        from unnest(p_due) d
        order by free desc, priority, expires_at nulls last, category desc, lot_id
    loop
        if v_lot.free then
            allowance := allowance + v_lot.remaining;
        else
            balance := balance + v_lot.remaining;
        end if;
        if unpaid > 0 then
            v_take := least(v_lot.remaining, unpaid);
            unpaid := unpaid - v_take;
            allocations := coalesce(allocations, '[]')
                || jsonb_build_object('lot', v_lot.lot_id, 'amount', -trim_scale(v_take));
        end if;
    end loop;
end
$$;
comment on function ducto.draw_due(text, ducto.lot[], numeric, timestamptz) is
    'balance: what the lots hold, debt not deducted; unpaid: what of p_cost no lot can pay.';

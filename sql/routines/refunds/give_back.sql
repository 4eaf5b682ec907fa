-- Gives parts of a charge back to where they came from: to their lots, as they are; to the debt, as
-- far as there is any, and else as a new lot; of a lot whose life is over as a new lot with the
-- life that was left when it was consumed, a span of time, whatever the session's zone. What a lot
-- lost that was since revoked and written off is revoked too, and given to nobody.
create or replace function ducto.give_back(
    p_account ducto.account,
    p_charge ducto.entry,
    p_skip numeric,
    p_left numeric,
    p_now timestamptz
)
returns ducto.given_back
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_material = off
as $$
declare
    v ducto.account := p_account;
    v_lots bigint[];
    v_parts numeric[];
    v_written_off jsonb;
    v_owed numeric;
    v_paid numeric;
    v_amount numeric;
    v_allowance numeric;
    v_allocations jsonb;
begin
    with part as materialized (
        select p.place, p.part, l.*,
            l.lot_id is not null and l.revoked_at is null
                and (l.expires_at is null or l.expires_at > p_now) as open,
            least(p.part, case when l.revoked_at is not null then l.amount - l.forfeited else 0 end)
                as written_off
        from ducto.parts_to_refund(ducto.entry_allocations(p_charge), p_skip, p_left) p
        left join ducto.credit_lots l
            on l.account_id = p_charge.account_id and l.lot_id = p.lot_id
    ), renewed as (
        insert into ducto.credit_lots as n (
            account_id, kind, category, amount, remaining, priority, effective_at, expires_at,
            plan_key, created_at
        )
        select p_charge.account_id, case when p.free then 'allowance' else 'refund' end,
            p.category, p.part, p.part, p.priority, p_now,
            (p_now at time zone 'UTC' + (
                p.expires_at at time zone 'UTC' - p_charge.created_at at time zone 'UTC'
            )) at time zone 'UTC', p.plan_key, p_now
        from part p
        where p.lot_id is not null and p.revoked_at is null and not p.open
        order by p.place desc
        returning n.lot_id, n.amount, n.free, n.expires_at
    )
    select
        array_agg(p.lot_id order by p.place desc) filter (where p.open),
        array_agg(-p.part order by p.place desc) filter (where p.open),
        coalesce(sum(p.part) filter (where p.free), 0),
        coalesce(sum(p.part) filter (where not p.free or p.free is null), 0),
        coalesce(sum(p.part - p.written_off) filter (where p.revoked_at is not null), 0)
            + coalesce(sum(p.part) filter (where p.lot_id is null), 0),
        jsonb_agg(jsonb_build_object(
            'lot', p.lot_id, 'transaction_id', p.transaction_id, 'amount', p.written_off
        )) filter (where p.written_off > 0),
        (select jsonb_agg(
            jsonb_build_object('lot', n.lot_id, 'amount', trim_scale(n.amount)) order by n.lot_id
        ) from renewed n),
        -- Of a lot that was used up and lives again, too.
        least(
            v.stale_at, (select min(n.expires_at) from renewed n),
            min(p.expires_at) filter (where p.open)
        )
    into v_lots, v_parts, v_allowance, v_amount, v_owed, v_written_off, v_allocations, v.stale_at
    from part p;
    perform ducto.take_lots(v.account_id, v_lots, v_parts);
    v_allocations := ducto.allocations(v_lots, v_parts) || coalesce(v_allocations, '[]');
    v_paid := least(v.debt, v_owed);
    if v_paid > 0 then
        v_allocations := v_allocations || jsonb_build_object('debt', -trim_scale(v_paid));
    end if;
    if v_owed > v_paid then
        v_allocations := v_allocations
            || ducto.add_refund_lot(v.account_id, v_owed - v_paid, p_now);
    end if;
    if v_written_off is not null then
        v_allocations := v_allocations || ducto.revoke_again(v, v_written_off, p_now);
    end if;
    v.debt := v.debt - v_paid;
    v.balance := v.balance + v_amount - coalesce((
        select sum((w -> 'amount')::numeric) from jsonb_array_elements(v_written_off) w
    ), 0);
    v.allowance := v.allowance + v_allowance;
    return row(v, v_allocations, v_amount, v_allowance)::ducto.given_back;
end
$$;
comment on function ducto.give_back(
    ducto.account, ducto.entry, numeric, numeric, timestamptz
) is
    'The account, not yet saved; what the refund''s entry says of it.';

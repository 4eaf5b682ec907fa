-- Gives one allocation of a charge back: to its lot, to the debt, or, where the lot's life is over,
-- as a new lot with the life that was left when it was consumed.
create or replace function ducto.give_back(
    p_charge ducto.credit_transactions,
    p_item jsonb,
    p_part numeric,
    p_now timestamptz,
    out allocations jsonb,
    out allowance numeric
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lot ducto.credit_lots;
    v_debt numeric := 0.0;
    v_expires_at timestamptz;
    v_lot_id bigint;
begin
    allowance := 0;
    allocations := '[]';
    select l.* into v_lot from ducto.credit_lots l
    where l.account_id = p_charge.account_id and l.lot_id = (p_item ->> 'lot')::bigint;
    if v_lot.kind = 'allowance' then
        allowance := p_part;
    end if;
    if v_lot.lot_id is not null and v_lot.revoked_at is null
        and (v_lot.expires_at is null or v_lot.expires_at > p_now)
    then
        allocations := jsonb_build_array(
            jsonb_build_object('lot', v_lot.lot_id, 'amount', trim_scale(p_part))
        );
        perform ducto.apply_allocations(p_charge.account_id, allocations);
        return;
    end if;
    if v_lot.lot_id is null or v_lot.revoked_at is not null then
        -- Never drawn from a lot that still exists: it lowers the debt, as far as there is any.
        select least(a.debt, p_part) into v_debt from ducto.credit_accounts a
        where a.account_id = p_charge.account_id;
        if v_debt > 0 then
            allocations := jsonb_build_array(jsonb_build_object('debt', -trim_scale(v_debt)));
            perform ducto.apply_allocations(p_charge.account_id, allocations);
        end if;
    elsif v_lot.expires_at is not null then
        v_expires_at := p_now + (v_lot.expires_at - p_charge.created_at);
    end if;
    if p_part > v_debt then
        insert into ducto.credit_lots (
            account_id, kind, category, amount, remaining, priority, effective_at, expires_at,
            plan_key, created_at
        ) values (
            p_charge.account_id,
            case when v_lot.kind = 'allowance' then 'allowance' else 'refund' end,
            coalesce(v_lot.category, 'paid'), p_part - v_debt, p_part - v_debt,
            coalesce(v_lot.priority, 100), p_now, v_expires_at, v_lot.plan_key, p_now
        )
        returning lot_id into v_lot_id;
        allocations := allocations
            || jsonb_build_object('lot', v_lot_id, 'amount', trim_scale(p_part - v_debt));
    end if;
end
$$;

-- The lots that a charge would first write down: the allowance and rollover that are due, and for
-- an account that does not exist yet the signup bonus; less the debt that a rollover pays first.
create or replace function ducto.lots_to_come(
    p_account ducto.account,
    p_terms ducto.terms,
    p_now timestamptz
)
returns ducto.lot[]
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_bonus numeric;
    v_debt numeric := p_account.debt;
    v_paid numeric;
    v_lots ducto.lot[] := '{}'::ducto.lot[];
begin
    if p_terms.allowance_due then
        v_lots := ducto.due_lots(p_account, p_terms, p_now);
    end if;
    select c.signup_bonus into v_bonus from ducto.credit_pricing_config c
    where c.active and not exists (
        select from ducto.credit_accounts a where a.account_id = p_account.account_id
    );
    if v_bonus > 0 then
        v_lots := v_lots || row(
            'signup_bonus', 'promotional', v_bonus, 100, null, null
        )::ducto.lot;
    end if;
    for v_at in 1 .. cardinality(v_lots) loop
        continue when v_lots[v_at].kind = 'allowance';
        v_paid := least(v_debt, v_lots[v_at].remaining);
        v_lots[v_at].remaining := v_lots[v_at].remaining - v_paid;
        v_debt := v_debt - v_paid;
    end loop;
    return v_lots;
end
$$;

-- Takes a refund out of the running totals of the windows that its charge was counted in.
create or replace function ducto.uncount_charge(
    p_account ducto.account,
    p_charge ducto.entry,
    p_amount numeric
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_account.has_caps and p_amount > 0 then
        update ducto.credit_spend_caps c set spent = greatest(c.spent - p_amount, 0)
        where c.account_id = p_charge.account_id
            and c.model = any (ducto.cap_models(
                p_charge.pricing_version, p_charge.plan_key, p_charge.model
            ))
            and c.window_start <= p_charge.created_at
            and c.window_end > p_charge.created_at;
    end if;
    if p_account.kind = 'team' and p_amount > 0 then
        update ducto.credit_team_members m set spent = greatest(m.spent - p_amount, 0)
        where m.account_id = p_charge.account_id
            and m.user_id = p_charge.actor_id
            and m.window_start <= p_charge.created_at
            and m.window_end > p_charge.created_at;
    end if;
end
$$;

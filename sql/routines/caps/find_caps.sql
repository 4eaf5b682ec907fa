-- The caps of an account as they are: what charges have drawn and not yet written counts, holds
-- that have lapsed do not.
create or replace function ducto.find_caps(p_account_id text, p_now timestamptz)
returns setof ducto.cap
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.find_account(p_account_id);
    v_cap ducto.cap;
begin
    for v_cap in
        select c.* from ducto.credit_spend_caps c where c.account_id = p_account_id
    loop
        if not v_account.draw_free
            and v_cap.model = any (coalesce(v_account.headroom_models, '{""}'))
        then
            v_cap.spent := v_cap.spent + v_account.drawn;
        end if;
        if p_now >= v_account.stale_at then
            v_cap.held := v_cap.held - ducto.capped_holds(p_account_id, v_cap.model, p_now);
        end if;
        return next v_cap;
    end loop;
end
$$;

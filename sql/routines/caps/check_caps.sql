-- Holds a charge or a hold against the account's caps in constant time: each cap carries the
-- running total of its window and the room that open holds take. What costs the balance nothing
-- reaches no cap.
create or replace function ducto.check_caps(
    p_draft ducto.draft,
    p_account ducto.account,
    p_models text[],
    p_amount numeric,
    p_now timestamptz
)
returns ducto.draft
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.draft := p_draft;
    v_cap ducto.cap;
    v_used numeric;
    v_fact jsonb;
begin
    for v_cap in
        select c.* from ducto.credit_spend_caps c
        where c.account_id = p_account.account_id and c.model = any (p_models)
        order by c.action = 'deny' desc, c.amount_limit
    loop
        if not p_account.draw_free
            and v_cap.model = any (coalesce(p_account.headroom_models, '{""}'))
        then
            v_cap.spent := v_cap.spent + p_account.drawn;
        end if;
        if p_now >= p_account.stale_at then
            -- Only a reading meets holds that have lapsed and are not yet booked.
            v_cap.held := v_cap.held
                - ducto.capped_holds(p_account.account_id, v_cap.model, p_now);
        end if;
        v_used := v_cap.held + case when v_cap.window_end > p_now then v_cap.spent else 0 end;
        continue when v_used + p_amount <= v_cap.amount_limit;

        v_fact := ducto.cap_state(v_cap, p_now)
            || jsonb_build_object('required', trim_scale(p_amount));
        if v_cap.action = 'deny' then
            v.failure := coalesce(v.failure, ducto.failure('denied', 'DU001', v_fact));
            continue;
        elsif v_cap.action = 'warn' then
            v.warnings := coalesce(v.warnings, '[]') || (v_fact || '{"code": "cap_warning"}');
        end if;
        if v_used <= v_cap.amount_limit then
            v.events := coalesce(v.events, '[]') || jsonb_build_object(
                'type', case v_cap.action when 'warn' then 'credits.cap_warning'
                    else 'credits.cap_reached' end,
                'data', v_fact
            );
        end if;
    end loop;
    return v;
end
$$;
comment on function ducto.check_caps(ducto.draft, ducto.account, text[], numeric, timestamptz) is
    'The draft with a denial, warnings and events for every cap that p_amount would pass.';

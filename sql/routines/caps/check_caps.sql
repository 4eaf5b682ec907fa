-- Holds a charge against the account's caps in constant time: each cap carries the running total
-- of its window. A charge that costs the balance nothing reaches no cap.
create or replace function ducto.check_caps(
    p_assessment ducto.assessment,
    p_account_id text,
    p_now timestamptz
)
returns ducto.assessment
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.assessment := p_assessment;
    v_cap ducto.credit_spend_caps;
    v_model text := p_assessment.price ->> 'model';
    v_used numeric;
    v_fact jsonb;
begin
    for v_cap in
        select c.* from ducto.credit_spend_caps c
        where c.account_id = p_account_id and c.model in ('', v_model)
        order by c.action = 'deny' desc, c.amount_limit
    loop
        v_used := v_cap.spent;
        if v_cap.window_end <= p_now then
            v_used := 0;
        end if;
        continue when v_used + v.amount <= v_cap.amount_limit;

        v_fact := ducto.cap_state(v_cap, p_now)
            || jsonb_build_object('required', trim_scale(v.amount));
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
comment on function ducto.check_caps(ducto.assessment, text, timestamptz) is
    'The assessment with a denial, warnings and events for every cap that the charge would pass.';

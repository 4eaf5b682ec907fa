-- What entering the current period grants: the plan's allowance, less all that this period has
-- already granted (so cycling plans mints nothing), and what rolls over from the last period.
create or replace function ducto.due_lots(
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
    v_lots ducto.lot[] := '{}'::ducto.lot[];
    v_start timestamptz;
    v_end timestamptz;
    v_last_start timestamptz;
    v_amount numeric;
begin
    select w.period_start, w.period_end into v_start, v_end
    from ducto.account_period(p_account, p_terms, p_now) w;

    select p_terms.free_allowance - coalesce(sum(l.amount), 0) into v_amount
    from ducto.credit_lots l
    where l.account_id = p_account.account_id
        and l.kind = 'allowance'
        and l.period_start is not null
        and l.expires_at > v_start
        and l.effective_at < v_end;
    if v_amount > 0 then
        v_lots := v_lots || row(
            'allowance', 'promotional', v_amount, 100, v_end, v_start
        )::ducto.lot;
    end if;

    -- Only what this plan left: a plan entered since revives nothing that lapsed under another.
    if p_terms.rollover_max > 0 and p_account.plan_since < v_start and not exists (
        select from ducto.credit_lots l
        where l.account_id = p_account.account_id
            and l.kind = 'rollover' and l.period_start = v_start
    ) then
        select w.period_start into v_last_start
        from ducto.account_period(
            p_account, p_terms, v_start - interval '1 microsecond'
        ) w;
        select least(p_terms.rollover_max, coalesce(
            sum(l.remaining + l.forfeited),
            -- Never touched in the last period: its whole allowance was left.
            case when p_account.plan_since <= v_last_start then p_terms.free_allowance else 0 end
        )) into v_amount
        from ducto.lots_now l
        where l.account_id = p_account.account_id
            and l.kind = 'allowance' and l.expires_at = v_start;
        if v_amount > 0 then
            v_lots := v_lots || row(
                'rollover', 'promotional', v_amount, 100, v_end, v_start
            )::ducto.lot;
        end if;
    end if;
    return v_lots;
end
$$;
comment on function ducto.due_lots(ducto.account, ducto.terms, timestamptz) is
    'The allowance and rollover lots that the account is due at p_now and does not have yet.';

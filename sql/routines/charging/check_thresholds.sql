-- low_balance fires once when what is left falls to a threshold, and re-arms above it.
create or replace function ducto.check_thresholds(
    p_account ducto.credit_accounts,
    p_thresholds numeric[],
    p_balance numeric,
    p_allowance numeric,
    p_now timestamptz,
    p_announce boolean
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_level numeric;
begin
    select min(t) into v_level from unnest(p_thresholds) t where p_balance + p_allowance <= t;
    if v_level is not distinct from p_account.alerted_below then
        return;
    end if;
    update ducto.credit_accounts a set alerted_below = v_level
    where a.account_id = p_account.account_id;
    if p_announce and (v_level < p_account.alerted_below or p_account.alerted_below is null) then
        perform ducto.write_event(
            p_account.account_id, p_account.account_id, 'credits.low_balance', p_now,
            jsonb_build_object(
                'threshold', trim_scale(v_level),
                'balance', trim_scale(p_balance),
                'allowance_remaining', trim_scale(p_allowance)
            )
        );
    end if;
end
$$;
comment on function ducto.check_thresholds(
    ducto.credit_accounts, numeric[], numeric, numeric, timestamptz, boolean
) is
    'Called with what the locked account has left, after anything that changed it; '
    'p_announce false, after a grant: only re-arms.';

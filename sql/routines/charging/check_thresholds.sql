-- low_balance fires once when what is left falls to a threshold, and re-arms above it.
create or replace function ducto.check_thresholds(
    p_account ducto.account,
    p_thresholds numeric[],
    p_now timestamptz,
    p_announce boolean
)
returns numeric
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_level numeric;
begin
    select min(t) into v_level from unnest(p_thresholds) t
    where p_account.balance + p_account.allowance <= t;
    if p_announce and (v_level < p_account.alerted_below
        or v_level is not null and p_account.alerted_below is null)
    then
        perform ducto.write_event(
            p_account.account_id, p_account.account_id, 'credits.low_balance', p_now,
            jsonb_build_object(
                'threshold', trim_scale(v_level),
                'balance', trim_scale(p_account.balance),
                'allowance_remaining', trim_scale(p_account.allowance)
            )
        );
    end if;
    return v_level;
end
$$;
comment on function ducto.check_thresholds(ducto.account, numeric[], timestamptz, boolean) is
    'The new alerted_below of the locked account, after anything that changed what it has left; '
    'p_announce false, after a grant: only re-arms.';

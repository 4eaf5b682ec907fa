create or replace function public.ducto_sweep_expired_credits(p_dry_run boolean default false)
returns table (user_id text, expired numeric, lots integer)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
    v_account ducto.account;
    v_booked ducto.lapsed;
    v_terms ducto.terms;
begin
    if coalesce(p_dry_run, false) then
        return query
        select l.account_id, trim_scale(sum(l.remaining)), count(*)::integer
        from ducto.lots_now l
        where l.live and l.expires_at <= v_now and l.kind <> 'allowance'
        group by l.account_id
        order by l.account_id;
        return;
    end if;
    for user_id in
        select distinct l.account_id collate "C" from ducto.credit_lots l
        where l.live and l.expires_at <= v_now
        order by 1
    loop
        -- An account that somebody holds is skipped: its next operation books the expiry itself.
        perform from ducto.credit_accounts a where a.account_id = user_id
        for no key update skip locked;
        continue when not found;
        v_account := ducto.lock_account(user_id);
        v_now := ducto.now();
        v_booked := ducto.book_expiry(v_account, v_now);
        v_account := v_booked.account;
        expired := v_booked.expired;
        lots := v_booked.lots;
        if lots > 0 then
            v_terms := ducto.read_terms(v_account, null, v_now);
            v_account.alerted_below := ducto.check_thresholds(
                ducto.foresee(v_account, v_terms, v_now), v_terms.thresholds, v_now, true
            );
            return next;
        end if;
        perform ducto.save_account(v_account);
    end loop;
end
$$;
comment on function public.ducto_sweep_expired_credits(boolean) is
    'Books the expiry of lapsed lots and reports it per account; they stopped counting when they '
    'lapsed. p_dry_run: only report. Run it from pg_cron, by any number of sessions. Callers: '
    'service, admin. Idempotent.';

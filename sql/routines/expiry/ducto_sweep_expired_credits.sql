create or replace function public.ducto_sweep_expired_credits(p_dry_run boolean default false)
returns table (user_id text, expired numeric, lots integer)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
    v_account_id text;
    v_account ducto.credit_accounts;
    v ducto.assessment;
begin
    if coalesce(p_dry_run, false) then
        return query
        select l.account_id, trim_scale(sum(l.remaining)), count(*)::integer
        from ducto.credit_lots l
        where l.live and l.expires_at <= v_now and l.kind <> 'allowance'
        group by l.account_id
        order by l.account_id;
        return;
    end if;
    -- An account that somebody holds is skipped: its next operation books the expiry itself.
    for v_account_id in
        select a.account_id from ducto.credit_accounts a
        where a.account_id in (
            select l.account_id from ducto.credit_lots l where l.live and l.expires_at <= v_now
        )
        order by a.account_id
        for no key update skip locked
    loop
        v_account := ducto.lock_account(v_account_id);
        v_now := ducto.now();
        select v_account_id, b.expired, b.lots into user_id, expired, lots
        from ducto.book_expiry(v_account_id, v_now) b;
        if lots > 0 then
            v := ducto.assess(v_account, null, 0, null, v_now, null);
            perform ducto.check_thresholds(
                v_account, v.thresholds, v.balance, v.allowance, v_now, true
            );
            return next;
        end if;
    end loop;
end
$$;
comment on function public.ducto_sweep_expired_credits(boolean) is
    'Books the expiry of lapsed lots and reports it per account; they stopped counting when they '
    'lapsed. p_dry_run: only report. Run it from pg_cron, by any number of sessions. Callers: '
    'service, admin. Idempotent.';

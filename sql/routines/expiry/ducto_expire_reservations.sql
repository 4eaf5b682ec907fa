create or replace function public.ducto_expire_reservations()
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
    v_account_id text;
    v_account ducto.account;
    v_count bigint := 0::bigint;
begin
    for v_account_id in
        select distinct r.account_id collate "C" from ducto.credit_reservations r
        where r.status = 'active' and r.expires_at <= v_now
        order by 1
    loop
        -- An account that somebody holds is skipped: its holds have stopped counting anyway.
        perform from ducto.credit_accounts a where a.account_id = v_account_id
        for no key update skip locked;
        continue when not found;
        v_account := ducto.lock_account(v_account_id);
        v_now := ducto.now();
        v_count := v_count + (
            select count(*) from ducto.credit_reservations r
            where r.account_id = v_account_id and r.status = 'active'
                and r.expires_at + ducto.settle_grace() <= v_now
        );
        perform ducto.save_account(ducto.lapse_holds(v_account, v_now, true));
    end loop;
    return jsonb_build_object('expired', v_count);
end
$$;
comment on function public.ducto_expire_reservations() is
    'Closes the holds past their deadline (and the settlement grace) and writes their events; they '
    'stopped counting at the deadline. Run it from pg_cron, by any number of sessions. Callers: '
    'service, admin. Idempotent.';

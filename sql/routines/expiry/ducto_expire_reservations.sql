create or replace function public.ducto_expire_reservations()
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- In a variable, because an index can be searched for a value, not for a volatile function.
    v_now timestamptz := ducto.now();
    v_account_id text;
    v_count integer := 0;
begin
    -- An account that somebody holds is skipped: its holds have stopped counting anyway.
    for v_account_id in
        select a.account_id from ducto.credit_accounts a
        where a.account_id in (
            select r.account_id from ducto.credit_reservations r
            where r.status = 'active' and r.expires_at <= v_now
        )
        order by a.account_id
        for no key update skip locked
    loop
        perform ducto.lock_account(v_account_id);
        v_count := v_count + ducto.close_lapsed_holds(v_account_id, ducto.now());
    end loop;
    return jsonb_build_object('expired', v_count);
end
$$;
comment on function public.ducto_expire_reservations() is
    'Closes the holds past their deadline (and the settlement grace) and writes their events; they '
    'stopped counting at the deadline. Run it from pg_cron, by any number of sessions. Callers: '
    'service, admin. Idempotent.';

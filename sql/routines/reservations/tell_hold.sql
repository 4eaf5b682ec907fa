-- The event of a hold that was taken: as ducto.write_event, for a transaction that has written the
-- hold already, and so has its id.
create or replace function ducto.tell_hold(p_hold ducto.reservation, p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into ducto.credit_events (account_id, actor_id, type, created_at, data)
    values (
        p_hold.account_id, p_hold.actor_id, 'credits.reserved', p_now, jsonb_build_object(
            'reservation_id', p_hold.reservation_id,
            'amount', trim_scale(p_hold.amount),
            'expires_at', p_hold.expires_at
        )
    );
end
$$;

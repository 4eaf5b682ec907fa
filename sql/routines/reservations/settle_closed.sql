-- Settling a hold that is no longer open: the settlement again replays, anything else is refused
-- and leaves a trace, because usage that nobody pays must not vanish.
create or replace function ducto.settle_closed(
    p_hold ducto.reservation,
    p_account ducto.account,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.entry;
    v_amount numeric := coalesce(p_amount, case when p_metrics is null
        then ducto.rest_of_hold(p_hold, p_idempotency_key) end);
    v_replay jsonb := ducto.find_replay(
        p_account, p_hold.actor_id, p_metrics, v_amount, p_hold.reservation_id, null,
        p_idempotency_key
    );
begin
    if v_replay is not null then
        return v_replay;
    elsif p_hold.status = 'settled' then
        -- The last settlement stands for the reservation, whatever its key was.
        select t.* into v_entry from ducto.credit_transactions t
        where t.account_id = p_hold.account_id and t.id = p_hold.transaction_id;
        if v_entry.metrics is not distinct from p_metrics
            and coalesce(p_amount = v_entry.allowance_consumed - v_entry.amount, true)
            or p_metrics is null and p_amount is null
        then
            return ducto.charge_result(v_entry, p_account.kind, true);
        elsif p_idempotency_key is null then
            return ducto.key_conflict(
                p_account.account_id, v_entry.idempotency_key, v_entry.id, p_hold.reservation_id
            );
        end if;
    end if;
    return ducto.failure('denied', 'DU011', jsonb_build_object(
        'reservation_id', p_hold.reservation_id,
        'user_id', p_hold.actor_id,
        'state', case when p_hold.status = 'active' then 'expired' else p_hold.status end,
        'closed_at', coalesce(p_hold.closed_at, p_hold.expires_at),
        'metrics', p_metrics,
        'amount', p_amount
    ));
end
$$;

-- Settling a hold that is no longer open: the settlement again replays, anything else is refused
-- and leaves a trace, because usage that nobody pays must not vanish.
create or replace function ducto.settle_closed(
    p_hold ducto.credit_reservations,
    p_account ducto.credit_accounts,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_replay jsonb := ducto.find_replay(
        p_account, p_hold.actor_id, p_metrics, p_amount, p_hold.reservation_id,
        coalesce(p_idempotency_key, 'settle:' || p_hold.reservation_id)
    );
    v_entry ducto.credit_transactions;
begin
    if p_metrics is null and p_amount is null and p_hold.status = 'settled' then
        select t.* into v_entry from ducto.credit_transactions t
        where t.account_id = p_hold.account_id and t.id = p_hold.transaction_id;
        return ducto.charge_result(v_entry, p_account.kind, true);
    elsif v_replay is not null then
        return v_replay;
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

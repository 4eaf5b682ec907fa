-- The result of taking, renewing or releasing a hold.
create or replace function ducto.hold_result(
    p_hold ducto.credit_reservations,
    p_account ducto.credit_accounts,
    p_now timestamptz,
    p_replayed boolean
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.assessment := ducto.assess(p_account, null, 0, null, p_now, null);
begin
    return jsonb_build_object(
        'status', 'ok',
        'reservation_id', p_hold.reservation_id,
        'user_id', p_hold.actor_id,
        'amount', trim_scale(p_hold.amount),
        'held', trim_scale(p_hold.held),
        'state', p_hold.status,
        'available', trim_scale(v.balance + v.allowance - v.held),
        'expires_at', p_hold.expires_at,
        'pricing_version', p_hold.pricing_version,
        'replayed', p_replayed
    );
end
$$;

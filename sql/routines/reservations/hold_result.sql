-- The result of taking, renewing or releasing a hold.
create or replace function ducto.hold_result(
    p_hold ducto.reservation,
    p_account ducto.account,
    p_replayed boolean
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object(
        'status', 'ok',
        'reservation_id', p_hold.reservation_id,
        'user_id', p_hold.actor_id,
        'amount', trim_scale(p_hold.amount),
        'held', trim_scale(p_hold.held),
        'state', p_hold.status,
        'available', trim_scale(p_account.balance + p_account.allowance - p_account.held),
        'expires_at', p_hold.expires_at,
        'pricing_version', p_hold.pricing_version,
        'replayed', p_replayed
    ) || case when p_account.kind = 'team'
        then jsonb_build_object('team_id', p_account.account_id) else '{}' end;
end
$$;
comment on function ducto.hold_result(ducto.reservation, ducto.account, boolean) is
    'p_account: brought up to date, after the operation.';

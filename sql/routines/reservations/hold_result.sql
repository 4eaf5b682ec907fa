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
    return to_jsonb(row(
        trim_scale(p_hold.held), p_hold.status, trim_scale(p_hold.amount), 'ok', p_hold.actor_id,
        p_replayed, trim_scale(p_account.balance + p_account.allowance - p_account.held),
        p_hold.expires_at, p_hold.reservation_id, p_hold.pricing_version
    )::ducto.hold_receipt) || case when p_account.kind = 'team'
        then jsonb_build_object('team_id', p_account.account_id) else '{}' end;
end
$$;
comment on function ducto.hold_result(ducto.reservation, ducto.account, boolean) is
    'p_account: brought up to date, after the operation.';

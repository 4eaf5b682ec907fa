create or replace function public.ducto_quote(
    p_user_id text,
    p_metrics jsonb,
    p_team_id text default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.credit_accounts;
    v ducto.assessment;
    v_now timestamptz := ducto.now();
    v_bonus numeric;
    v_failure jsonb := ducto.check_arguments(p_user_id, null, null, coalesce(p_metrics, 'null'));
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_account := ducto.find_account(coalesce(p_team_id, p_user_id));
    if p_team_id is not null then
        perform ducto.find_team_member(p_team_id, p_user_id);
    end if;
    -- A bonus that comes with the account counts before the account exists: as a debt below zero.
    v_bonus := ducto.bonus_due(v_account.account_id);
    v_account.debt := v_account.debt - v_bonus;
    v := ducto.assess(v_account, p_metrics, null, p_metrics ->> 'operation', v_now, null);
    if v.failure is not null then
        perform ducto.raise_error(v.failure ->> 'code', v.failure);
    end if;
    if v_bonus > 0 and v.amount > 0 then
        v.allocations := (v.allocations - -1) || ducto.draw_bonus(v_bonus, v.amount);
    end if;
    v := ducto.decide(v, v_account, null, v_now);
    return jsonb_build_object(
        'user_id', p_user_id,
        'team_id', p_team_id,
        'model', v.price -> 'model',
        'cost', trim_scale(v.cost),
        'allowance_consumed', trim_scale(v.free),
        'amount', trim_scale(v.amount),
        'balance_after', trim_scale(v.balance - v.amount),
        'available_after', trim_scale(v.balance + v.allowance - v.held - v.cost),
        'pricing_version', v.version,
        'breakdown', v.price -> 'breakdown',
        'allocations', coalesce(v.allocations, '[]'),
        'caps', ducto.cap_states(v_account.account_id, v.price ->> 'model', v.amount, v_now),
        'warnings', coalesce(v.warnings, '[]'),
        'affordable', v.failure is null,
        'status', coalesce(v.failure ->> 'status', 'ok'),
        'code', v.failure -> 'code',
        'error', v.failure -> 'error',
        'message', v.failure -> 'message'
    );
end
$$;
comment on function public.ducto_quote(text, jsonb, text) is
    'What ducto_deduct would do with p_metrics, by the same code, writing nothing: price, '
    'allowance part, the lots it would draw on (lot null: an allowance that is due), cap '
    'headroom, balance after; or affordable false with the code, error and message of the denial. '
    'p_team_id: paid by the team. Errors: DU003, DU004, DU015, DU016, DU017, DU018, DU022. '
    'Callers: service, admin, reader.';

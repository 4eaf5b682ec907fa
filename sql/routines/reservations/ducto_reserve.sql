create or replace function public.ducto_reserve(
    p_user_id text,
    p_amount numeric default null,
    p_metrics jsonb default null,
    p_operation_type text default null,
    p_ttl_seconds integer default 600,
    p_min_balance numeric default null,
    p_required_feature text default null,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_raise boolean default true,
    p_team_id text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_hold ducto.reservation;
    v_result jsonb := coalesce(
        ducto.check_hold(
            p_user_id, p_amount, p_metrics, p_operation_type, p_ttl_seconds, p_min_balance,
            p_required_feature, p_idempotency_key, p_metadata
        ),
        case when p_team_id is not null then ducto.check_payer(p_team_id, p_user_id) end
    );
begin
    if v_result is null then
        v_hold.account_id := coalesce(p_team_id, p_user_id);
        v_hold.actor_id := p_user_id;
        v_hold.operation := coalesce(p_operation_type, p_metrics ->> 'operation');
        v_hold.metrics := p_metrics;
        v_hold.floor := p_min_balance;
        v_hold.idempotency_key := p_idempotency_key;
        v_hold.metadata := nullif(p_metadata, '{}');
        if p_idempotency_key is not null then
            v_hold.fingerprint := ducto.fingerprint(
                'reserve', v_hold.account_id, p_user_id, v_hold.operation, p_metrics::text,
                trim_scale(p_amount)::text
            );
        end if;
        if p_team_id is null and p_min_balance is null and p_required_feature is null then
            v_result := ducto.hold_headroom(v_hold, p_amount, p_ttl_seconds);
        end if;
        if v_result is null then
            v_result := ducto.hold(v_hold, p_amount, p_required_feature, p_ttl_seconds);
        end if;
    end if;
    if v_result ->> 'status' = 'ok' then
        return v_result;
    end if;
    return ducto.finish(v_result, coalesce(p_team_id, p_user_id), p_user_id, p_raise);
end
$$;
comment on function public.ducto_reserve(
    text, numeric, jsonb, text, integer, numeric, text, text, jsonb, boolean, text
) is
    'Sets credits aside until they are settled, released or p_ttl_seconds (1 to 604800) have '
    'passed: p_amount, or what p_metrics cost. Pins the pricing version. p_operation_type selects '
    'the plan''s policy, p_min_balance may raise its floor, p_required_feature must be in the '
    'plan. p_team_id: of the team, for its member p_user_id. p_raise false returns a denial '
    'instead of raising it. Errors: DU003, DU004, DU007, DU015, DU016, DU017, DU022; denials: '
    'DU001, DU002, DU012, DU013, DU019. Callers: service, admin. Idempotent by p_idempotency_key.';

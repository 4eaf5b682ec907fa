-- Every hold that ducto_reserve does not take by itself.
create or replace function ducto.reserve(
    p_user_id text,
    p_amount numeric,
    p_metrics jsonb,
    p_operation_type text,
    p_ttl_seconds integer,
    p_min_balance numeric,
    p_required_feature text,
    p_idempotency_key text,
    p_metadata jsonb,
    p_raise boolean,
    p_team_id text
)
returns jsonb
language plpgsql
volatile
security invoker
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
        v_result := ducto.hold(v_hold, p_amount, p_required_feature, p_ttl_seconds);
    end if;
    if v_result ->> 'status' = 'ok' then
        return v_result;
    end if;
    return ducto.finish(v_result, coalesce(p_team_id, p_user_id), p_user_id, p_raise);
end
$$;
comment on function ducto.reserve(
    text, numeric, jsonb, text, integer, numeric, text, text, jsonb, boolean, text
) is
    'The result of ducto_reserve, and its arguments.';

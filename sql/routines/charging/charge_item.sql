-- One charge of a batch, as by the call of its own; a denial is recorded and returned.
create or replace function ducto.charge_item(p_item jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id constant text := p_item ->> 'user_id';
    v_team_id constant text := p_item ->> 'team_id';
    v_payer_id constant text := coalesce(v_team_id, v_user_id);
    v_metrics jsonb := nullif(p_item -> 'metrics', 'null');
    v_result jsonb;
begin
    if p_item ->> 'job_name' is not null then
        v_metrics := jsonb_build_object('job_name', p_item -> 'job_name');
    end if;
    if v_team_id = v_user_id then
        return ducto.check_payer(v_team_id, v_user_id);
    end if;
    v_result := ducto.charge(
        v_payer_id, v_user_id, v_metrics, (p_item ->> 'amount')::numeric,
        p_item ->> 'idempotency_key', nullif(p_item -> 'metadata', 'null'),
        ducto.read_instant(p_item ->> 'occurred_at'), null
    );
    if v_result ->> 'status' = 'denied' then
        return ducto.finish(v_result, v_payer_id, v_user_id, false);
    end if;
    return v_result;
end
$$;

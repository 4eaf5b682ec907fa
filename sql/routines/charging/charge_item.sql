-- One charge of a batch, through the same pipeline as the call of its own.
create or replace function ducto.charge_item(p_item jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id text := p_item ->> 'user_id';
    v_metrics jsonb := nullif(p_item -> 'metrics', 'null');
begin
    if p_item ->> 'job_name' is not null then
        v_metrics := jsonb_build_object('job_name', p_item -> 'job_name');
    end if;
    return ducto.charge(
        v_user_id, v_user_id, v_metrics, (p_item ->> 'amount')::numeric,
        p_item ->> 'idempotency_key', nullif(p_item -> 'metadata', 'null'),
        (p_item ->> 'occurred_at')::timestamptz, null
    );
end
$$;

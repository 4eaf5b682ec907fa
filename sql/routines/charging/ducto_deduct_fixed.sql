create or replace function public.ducto_deduct_fixed(
    p_user_id text,
    p_job_name text,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_raise boolean default true
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_result jsonb := ducto.charge(
        p_user_id, p_user_id, jsonb_build_object('job_name', p_job_name), null,
        p_idempotency_key, p_metadata
    );
begin
    if v_result ->> 'status' = 'ok' then
        return v_result;
    end if;
    return ducto.finish(v_result, p_user_id, p_user_id, p_raise);
end
$$;
comment on function public.ducto_deduct_fixed(text, text, text, jsonb, boolean) is
    'Charges the fixed price of the job p_job_name to the user. p_raise false returns a denial '
    'instead of raising it. Errors: DU003, DU007, DU017, DU018; denials: DU001, DU002, DU019. '
    'Callers: service, admin. Idempotent by p_idempotency_key.';

create or replace function public.ducto_deduct_fixed(
    p_user_id text,
    p_job_name text,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_raise boolean default true,
    p_occurred_at timestamptz default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return ducto.charge(
        p_user_id, p_user_id, jsonb_build_object('job_name', p_job_name), null,
        p_idempotency_key, p_metadata, p_occurred_at, coalesce(p_raise, true)
    );
end
$$;
comment on function public.ducto_deduct_fixed(text, text, text, jsonb, boolean, timestamptz) is
    'Charges the fixed price of the job p_job_name to the user. p_raise false returns a denial '
    'instead of raising it. Errors: DU003, DU007, DU017, DU018; denials: DU001, DU002, DU019. '
    'Callers: service, admin. Idempotent by p_idempotency_key.';

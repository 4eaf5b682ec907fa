create or replace function public.ducto_deduct_amount(
    p_user_id text,
    p_amount numeric,
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
        p_user_id, p_user_id, null, p_amount,
        p_idempotency_key, p_metadata, p_occurred_at, coalesce(p_raise, true)
    );
end
$$;
comment on function public.ducto_deduct_amount(text, numeric, text, jsonb, boolean, timestamptz) is
    'Charges p_amount credits to the user, without pricing; at most 12 decimal places. p_raise '
    'false returns a denial instead of raising it. Errors: DU007, DU017; denials: DU001, DU002, '
    'DU019. Callers: service, admin. Idempotent by p_idempotency_key.';

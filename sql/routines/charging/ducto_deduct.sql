create or replace function public.ducto_deduct(
    p_user_id text,
    p_metrics jsonb,
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
        p_user_id, p_user_id, coalesce(p_metrics, 'null'), null,
        p_idempotency_key, p_metadata, p_occurred_at, coalesce(p_raise, true)
    );
end
$$;
comment on function public.ducto_deduct(text, jsonb, text, jsonb, boolean, timestamptz) is
    'Prices p_metrics ({"model": …, "input_tokens": …}) with the active pricing and charges them '
    'to the user, in the caller''s transaction. p_occurred_at: when the usage happened, where it '
    'is reported later. p_raise false returns a denial instead of raising it. Errors: DU003, '
    'DU004, DU007, DU017, DU018, DU022; denials: DU001, DU002, DU013, DU019. Callers: service, '
    'admin. Idempotent by p_idempotency_key.';

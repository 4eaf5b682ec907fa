create or replace function public.ducto_deduct(
    p_user_id text,
    p_metrics jsonb,
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
        p_user_id, p_user_id, coalesce(p_metrics, 'null'), null,
        p_idempotency_key, p_metadata
    );
begin
    if v_result ->> 'status' = 'ok' then
        return v_result;
    end if;
    return ducto.finish(v_result, p_user_id, p_user_id, p_raise);
end
$$;
comment on function public.ducto_deduct(text, jsonb, text, jsonb, boolean) is
    'Prices p_metrics ({"model": …, "input_tokens": …}) with the active pricing and charges them '
    'to the user, in the caller''s transaction. p_raise false returns a denial instead of raising '
    'it. Errors: DU003, DU004, DU007, DU017, DU018, DU022; denials: DU001, DU002, DU013, DU019. '
    'Callers: service, admin. Idempotent by p_idempotency_key.';

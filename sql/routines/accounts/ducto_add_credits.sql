create or replace function public.ducto_add_credits(
    p_user_id text,
    p_amount numeric,
    p_type text default 'adjustment',
    p_expires_at timestamptz default null,
    p_priority integer default 100,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_category text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure jsonb := ducto.check_grant(
        p_user_id, p_amount, p_type, p_expires_at, p_category, p_idempotency_key, p_metadata
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    return ducto.add_credits(
        ducto.lock_account(p_user_id), p_amount, p_type, p_expires_at, p_priority,
        p_idempotency_key, p_metadata, p_category
    );
end
$$;
comment on function public.ducto_add_credits(
    text, numeric, text, timestamptz, integer, text, jsonb, text
) is
    'Grants credits to a user, creating the account on first touch. p_type: purchase, '
    'subscription, promo, signup_bonus (once per user, ever), opening or adjustment, which may be '
    'negative and then takes credits away, down to the floor. p_expires_at: null never expires. '
    'p_priority: lower is consumed first. p_category: paid or promotional, by type if null. '
    'Errors: DU002, DU007, DU017. Callers: service, admin. Idempotent by p_idempotency_key.';

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
    v_account ducto.credit_accounts;
    v_now timestamptz;
    v_fingerprint bytea;
    v_entry ducto.credit_transactions;
    v_failure jsonb := ducto.check_grant(
        p_user_id, p_amount, p_type, p_expires_at, p_category, p_idempotency_key, p_metadata
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_account := ducto.lock_account(p_user_id);
    if p_idempotency_key is not null then
        v_fingerprint := sha256(convert_to(
            array['add_credits', p_user_id, p_type, trim_scale(p_amount)::text]::text, 'UTF8'
        ));
    end if;
    v_entry := ducto.find_grant(
        p_user_id, p_amount, p_type, p_idempotency_key, v_fingerprint
    );
    if v_entry.id is not null then
        return ducto.grant_result(v_entry, true);
    end if;

    -- Only now: a grant that has expired since still replays.
    v_now := ducto.now();
    if p_expires_at <= v_now then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_expires_at', 'The expiry lies in the past.'
        ));
    end if;
    v_account := ducto.bring_up_to_date(v_account, v_now);
    if p_amount < 0 then
        v_entry := ducto.take_back(
            v_account, v_now, -p_amount, p_idempotency_key, v_fingerprint, p_metadata
        );
    elsif ducto.read_balance(p_user_id) + p_amount >= 1e26 then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_amount', 'The balance would reach 10^26, more than can be stored.'
        ));
    else
        v_entry := ducto.grant_credits(
            v_account, v_now, p_amount, p_type, p_category, p_expires_at, p_priority,
            p_idempotency_key, v_fingerprint, p_metadata
        );
    end if;
    return ducto.grant_result(v_entry, false);
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

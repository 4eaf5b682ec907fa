-- The arguments of a grant: null when they are valid, else the error.
create or replace function ducto.check_grant(
    p_user_id text,
    p_amount numeric,
    p_type text,
    p_expires_at timestamptz,
    p_category text,
    p_idempotency_key text,
    p_metadata jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_type is null or p_type not in (
        'purchase', 'subscription', 'promo', 'signup_bonus', 'adjustment', 'opening'
    ) then
        return ducto.invalid('p_type', format(
            'The type %s is not one of purchase, subscription, promo, signup_bonus, adjustment, '
            'opening.', coalesce(p_type, 'null')
        ));
    elsif p_amount = 0 then
        return ducto.invalid('p_amount', 'An amount of 0 grants nothing.');
    elsif p_amount < 0 and p_type <> 'adjustment' then
        return ducto.invalid('p_amount', 'Only an adjustment may be negative.');
    elsif p_category not in ('paid', 'promotional') then
        return ducto.invalid('p_category', 'The category is paid or promotional.');
    elsif p_expires_at is not null and p_amount < 0 then
        return ducto.invalid('p_expires_at', 'A negative adjustment does not expire.');
    elsif p_expires_at >= '10000-01-01 00:00Z' then
        return ducto.invalid('p_expires_at',
            'The expiry lies beyond the year 9999: leave it out for credits that never expire.');
    end if;
    return coalesce(
        ducto.check_amount('p_amount', p_amount, p_negative => true),
        ducto.check_arguments(p_user_id, p_idempotency_key, p_metadata, null)
    );
end
$$;

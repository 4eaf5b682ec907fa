-- The arguments of a hold: null when they are valid, else the error.
create or replace function ducto.check_hold(
    p_user_id text,
    p_amount numeric,
    p_metrics jsonb,
    p_operation_type text,
    p_ttl_seconds integer,
    p_min_balance numeric,
    p_required_feature text,
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
    if p_amount is null and p_metrics is null then
        return ducto.invalid('p_amount', 'A hold needs an amount, or metrics to estimate it from.');
    elsif (p_ttl_seconds between 1 and 604800) is not true then
        return ducto.invalid('p_ttl_seconds', 'A hold lasts 1 to 604800 seconds.');
    elsif length(p_operation_type) not between 1 and 200 then
        return ducto.invalid('p_operation_type', 'An operation''s name has 1 to 200 characters.');
    elsif length(p_required_feature) not between 1 and 200 then
        return ducto.invalid('p_required_feature', 'A feature''s name has 1 to 200 characters.');
    end if;
    return coalesce(
        ducto.check_arguments(p_user_id, p_idempotency_key, p_metadata, p_metrics),
        case when p_amount is not null then ducto.check_amount('p_amount', p_amount) end,
        case when p_min_balance is not null
            then ducto.check_amount('p_min_balance', p_min_balance, p_negative => true) end
    );
end
$$;

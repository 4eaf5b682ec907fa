-- The arguments of a charge: null when they are valid, else the error.
create or replace function ducto.check_charge(
    p_account_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb,
    p_occurred_at timestamptz
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_occurred_at is not null
        and (p_occurred_at between '0001-01-01 00:00Z' and ducto.now()) is not true
    then
        return ducto.invalid(
            'p_occurred_at', 'Usage happened at an instant of our era, and not in the future.'
        );
    end if;
    return coalesce(
        ducto.check_arguments(p_account_id, p_idempotency_key, p_metadata, p_metrics),
        case when p_metrics is null then ducto.check_amount('p_amount', p_amount) end
    );
end
$$;

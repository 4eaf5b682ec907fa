-- What is wrong with the arguments of a charge, for one that ducto.charge found suspicious: null,
-- else the error.
create or replace function ducto.check_charge(
    p_account_id text,
    p_metrics jsonb,
    p_amount numeric,
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
    return coalesce(
        ducto.check_arguments(p_account_id, p_idempotency_key, p_metadata, p_metrics),
        case when p_metrics is null then ducto.check_amount('p_amount', p_amount) end
    );
end
$$;

-- The arguments of a charge: null when they are valid, else the error.
create or replace function ducto.check_charge(
    p_user_id text,
    p_metrics jsonb,
    p_amount numeric,
    p_idempotency_key text,
    p_metadata jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
    if p_metrics is null then
        if p_amount is null then
            return ducto.invalid('p_metrics', 'A charge needs metrics or an amount.');
        end if;
        return coalesce(
            ducto.check_arguments(p_user_id, p_idempotency_key, p_metadata),
            ducto.check_amount('p_amount', p_amount)
        );
    elsif jsonb_typeof(p_metrics) <> 'object' then
        return ducto.invalid('p_metrics', format(
            'Metrics are a JSON object such as {"model": "gpt-4", "input_tokens": 500}, not %s.',
            jsonb_typeof(p_metrics)
        ));
    elsif pg_column_size(p_metrics) > 65536 then
        return ducto.invalid('p_metrics', 'Metrics are at most 64 kB.');
    end if;
    return ducto.check_arguments(p_user_id, p_idempotency_key, p_metadata);
end
$$;

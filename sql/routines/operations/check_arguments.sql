-- The checks that every call that moves money shares: null when all is well, else the error.
create or replace function ducto.check_arguments(
    p_user_id text,
    p_idempotency_key text,
    p_metadata jsonb,
    p_metrics jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- One expression for the good case; `is true` because a missing user id compares as null.
    if (
        length(p_user_id) between 1 and 200
        and (p_idempotency_key is null or length(p_idempotency_key) between 1 and 255)
        and (p_metadata is null or jsonb_typeof(p_metadata) = 'object')
        and (p_metrics is null or jsonb_typeof(p_metrics) = 'object')
        and coalesce(octet_length(p_metadata::text), 0) <= 65536
        and coalesce(octet_length(p_metrics::text), 0) <= 65536
    ) is true then
        return null;
    elsif (length(p_user_id) between 1 and 200) is not true then
        return ducto.invalid('p_user_id', 'The user id must have 1 to 200 characters.');
    elsif length(p_idempotency_key) not between 1 and 255 then
        return ducto.invalid(
            'p_idempotency_key', 'An idempotency key must have 1 to 255 characters.'
        );
    elsif jsonb_typeof(p_metrics) <> 'object' then
        return ducto.invalid('p_metrics', format(
            'Metrics are a JSON object such as {"model": "gpt-4", "input_tokens": 500}, not %s.',
            jsonb_typeof(p_metrics)
        ));
    elsif octet_length(p_metrics::text) > 65536 then
        return ducto.invalid('p_metrics', 'Metrics are at most 64 kB.');
    end if;
    return ducto.invalid('p_metadata', 'Metadata must be a JSON object of at most 64 kB.');
end
$$;

-- The checks that every call that moves money shares: null when all is well, else the error.
create or replace function ducto.check_arguments(
    p_user_id text,
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
    -- length() of null is null, so a null user id needs the coalesce; a null key is no key.
    if coalesce(length(p_user_id), 0) between 1 and 200
        and (p_idempotency_key is null or length(p_idempotency_key) between 1 and 255)
        and (p_metadata is null or jsonb_typeof(p_metadata) = 'object')
        and (p_metadata is null or pg_column_size(p_metadata) <= 65536)
    then
        return null;
    end if;
    if coalesce(length(p_user_id), 0) not between 1 and 200 then
        return ducto.invalid('p_user_id', 'The user id must have 1 to 200 characters.');
    elsif length(p_idempotency_key) not between 1 and 255 then
        return ducto.invalid(
            'p_idempotency_key', 'An idempotency key must have 1 to 255 characters.'
        );
    end if;
    return ducto.invalid('p_metadata', 'Metadata must be a JSON object of at most 64 kB.');
end
$$;

-- One grant of a batch: null when it is valid, else the error.
create or replace function ducto.check_grant_item(
    p_item jsonb,
    p_type text,
    p_expires_at timestamptz
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key text;
begin
    if jsonb_typeof(p_item) <> 'object' then
        return ducto.invalid('p_grants', 'A grant of a batch must be a JSON object.');
    end if;
    for v_key in select jsonb_object_keys(p_item) loop
        if v_key not in (
            'user_id', 'amount', 'type', 'expires_at', 'priority', 'idempotency_key', 'metadata',
            'category'
        ) then
            return ducto.invalid(left(v_key, 100), format(
                'A grant of a batch has no key %s; it has user_id, amount, type, expires_at, '
                'priority, idempotency_key, metadata, category.', left(v_key, 100)
            ));
        elsif v_key in ('user_id', 'type', 'expires_at', 'idempotency_key', 'category')
            and jsonb_typeof(p_item -> v_key) not in ('string', 'null')
        then
            return ducto.invalid(v_key, format('%s must be a string.', v_key));
        end if;
    end loop;
    if coalesce(jsonb_typeof(p_item -> 'amount'), '') <> 'number' then
        return ducto.invalid('amount', 'amount must be a number.');
    elsif p_expires_at is null and p_item ->> 'expires_at' is not null then
        return ducto.invalid('expires_at', 'expires_at must be an ISO 8601 instant with a zone.');
    elsif coalesce(jsonb_typeof(p_item -> 'priority'), 'null') not in ('number', 'null')
        or coalesce((p_item -> 'priority')::text !~ '^-?[0-9]{1,9}$', false)
            and p_item -> 'priority' <> 'null'
    then
        return ducto.invalid('priority', 'priority must be a whole number of up to nine digits.');
    end if;
    return ducto.check_grant(
        p_item ->> 'user_id', (p_item -> 'amount')::numeric, p_type, p_expires_at,
        p_item ->> 'category', p_item ->> 'idempotency_key',
        nullif(p_item -> 'metadata', 'null')
    );
end
$$;

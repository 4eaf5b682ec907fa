-- What is wrong with the shape of one charge of a batch, as its error result.
create or replace function ducto.explain_batch_item(p_item jsonb)
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
        return ducto.invalid('p_charges', 'A charge of a batch must be a JSON object.');
    end if;
    for v_key in select jsonb_object_keys(p_item) loop
        if v_key not in (
            'user_id', 'team_id', 'metrics', 'amount', 'job_name', 'idempotency_key',
            'metadata', 'occurred_at'
        ) then
            return ducto.invalid(v_key, format(
                'A charge of a batch has no key %s; it has user_id, team_id, metrics, '
                'amount, job_name, idempotency_key, metadata, occurred_at.', v_key
            ));
        elsif v_key in ('user_id', 'team_id', 'job_name', 'idempotency_key')
            and jsonb_typeof(p_item -> v_key) not in ('string', 'null')
        then
            return ducto.invalid(v_key, format('%s must be a string.', v_key));
        end if;
    end loop;
    if (length(p_item ->> 'user_id') between 1 and 200) is not true then
        return ducto.invalid('user_id', 'The user id must have 1 to 200 characters.');
    elsif length(p_item ->> 'team_id') not between 1 and 200 then
        return ducto.invalid('team_id', 'The team id must have 1 to 200 characters.');
    elsif jsonb_typeof(p_item -> 'amount') not in ('number', 'null') then
        return ducto.invalid('amount', 'amount must be a number.');
    end if;
    if coalesce(p_item -> 'occurred_at', 'null') <> 'null' and coalesce(
        ducto.read_instant(p_item ->> 'occurred_at') > ducto.now(), true
    ) then
        return ducto.invalid('occurred_at',
            'occurred_at must be an ISO 8601 instant with a zone, and not in the future.');
    elsif coalesce(jsonb_typeof(p_item -> 'metadata'), 'null') not in ('object', 'null')
        or octet_length((p_item -> 'metadata')::text) > 65536
    then
        return ducto.invalid('metadata', 'Metadata must be a JSON object of at most 64 kB.');
    end if;
    return ducto.invalid(
        'p_charges', 'A charge of a batch needs exactly one of metrics, amount, job_name.'
    );
end
$$;

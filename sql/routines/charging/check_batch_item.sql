-- The shape of one charge of a batch: null when it is valid, else its error result.
create or replace function ducto.check_batch_item(p_item jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- One expression for the good case; what is wrong with the others is said in detail.
    if (
        jsonb_typeof(p_item) = 'object'
        and p_item - '{
            user_id,team_id,metrics,amount,job_name,idempotency_key,metadata,occurred_at
        }'::text[] = '{}'
        and jsonb_typeof(p_item -> 'user_id') = 'string'
        and length(p_item ->> 'user_id') between 1 and 200
        and (coalesce(p_item -> 'team_id', 'null') = 'null' or (
            jsonb_typeof(p_item -> 'team_id') = 'string'
            and length(p_item ->> 'team_id') between 1 and 200
        ))
        and coalesce(jsonb_typeof(p_item -> 'idempotency_key'), 'null') in ('string', 'null')
        and coalesce(jsonb_typeof(p_item -> 'job_name'), 'null') in ('string', 'null')
        and coalesce(jsonb_typeof(p_item -> 'amount'), 'null') in ('number', 'null')
        and (coalesce(p_item -> 'occurred_at', 'null') = 'null' or coalesce(
            jsonb_typeof(p_item -> 'occurred_at') = 'string'
            and ducto.read_instant(p_item ->> 'occurred_at') <= ducto.now(), false
        ))
        and (coalesce(p_item -> 'metadata', 'null') in ('null', '{}') or (
            jsonb_typeof(p_item -> 'metadata') = 'object'
            and octet_length((p_item -> 'metadata')::text) <= 65536
        ))
        and num_nonnulls(
            nullif(p_item -> 'metrics', 'null'), nullif(p_item -> 'amount', 'null'),
            nullif(p_item -> 'job_name', 'null')
        ) = 1
    ) is true then
        return null;
    end if;
    return ducto.explain_batch_item(p_item);
end
$$;

create or replace function public.ducto_deduct_batch(p_charges jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    v_results jsonb[] := '{}'::jsonb[];
    v_item jsonb;
    v_result jsonb;
    v_account_id text;
begin
    if jsonb_typeof(p_charges) is distinct from 'array'
        or jsonb_array_length(p_charges) > 1000
    then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_charges', 'Charges are a JSON array of at most 1000 objects.'
        ));
    end if;
    -- Every account first, in one order, so that batches that share accounts cannot deadlock.
    for v_account_id in
        select distinct coalesce(c ->> 'team_id', c ->> 'user_id') collate "C" as account_id
        from jsonb_array_elements(p_charges) c
        where jsonb_typeof(c) = 'object' and ducto.check_batch_item(c) is null
        order by account_id
    loop
        perform ducto.lock_account(v_account_id);
    end loop;
    for v_item in select c.value from jsonb_array_elements(p_charges) with ordinality c
        order by c.ordinality
    loop
        v_result := coalesce(ducto.check_batch_item(v_item), ducto.charge_item(v_item));
        if v_result ->> 'status' = 'denied' then
            v_result := ducto.finish(
                v_result,
                coalesce(v_item ->> 'team_id', v_item ->> 'user_id'),
                v_item ->> 'user_id',
                false
            );
        end if;
        v_results := v_results || v_result;
    end loop;
    return to_jsonb(v_results);
end
$$;
comment on function public.ducto_deduct_batch(jsonb) is
    'Charges many usages of many users in one call. p_charges: up to 1000 objects with user_id, '
    'one of metrics, amount or job_name, and optionally team_id, idempotency_key and metadata. '
    'Returns one result per item, in order: status ok, denied or error; an item that fails spoils '
    'no other. Errors raised: DU017 (not an array). Callers: service, admin. Idempotent item by '
    'item.';

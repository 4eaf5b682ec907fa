create or replace function public.ducto_deduct_batch(p_charges jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_results jsonb[];
    v_item jsonb;
    v_result jsonb;
begin
    if jsonb_typeof(p_charges) is distinct from 'array'
        or jsonb_array_length(p_charges) > 1000
    then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_charges', 'Charges are a JSON array of at most 1000 objects.'
        ));
    end if;
    perform ducto.lock_accounts(array(
        select distinct c ->> 'user_id' from jsonb_array_elements(p_charges) c
        where ducto.check_batch_item(c) is null
    ));
    for v_index in 1 .. jsonb_array_length(p_charges) loop
        v_item := p_charges -> v_index - 1;
        v_result := coalesce(ducto.check_batch_item(v_item), ducto.charge_item(v_item));
        if v_result ->> 'status' = 'denied' then
            v_result := ducto.finish(
                v_result, v_item ->> 'user_id', v_item ->> 'user_id', false
            );
        end if;
        v_results[v_index] := v_result;
    end loop;
    return coalesce(to_jsonb(v_results), '[]');
end
$$;
comment on function public.ducto_deduct_batch(jsonb) is
    'Charges many usages of many users in one call. p_charges: up to 1000 objects with user_id, '
    'one of metrics, amount or job_name, and optionally idempotency_key and metadata. Returns one '
    'result per item, in order: status ok, denied or error; an item that fails spoils no other. '
    'Errors raised: DU017 (not an array). Callers: service, admin. Idempotent item by item.';

create or replace function public.ducto_deduct_batch(p_charges jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    v_items jsonb[];
    v_drawn record;
    v_results jsonb[];
    v_one record;
begin
    if jsonb_typeof(p_charges) is distinct from 'array'
        or jsonb_array_length(p_charges) > 1000
    then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_charges', 'Charges are a JSON array of at most 1000 objects.'
        ));
    end if;
    select d.* into v_drawn
    from ducto.draw_together(ducto.price_together(p_charges), false) d;
    if cardinality(v_drawn.places) = jsonb_array_length(p_charges) then
        return v_drawn.results;
    end if;
    v_items := array(select jsonb_array_elements(p_charges));
    loop
        for v_nth in 1 .. coalesce(cardinality(v_drawn.places), 0) loop
            v_results[v_drawn.places[v_nth]] := v_drawn.results -> v_nth - 1;
            v_items[v_drawn.places[v_nth]] := null;
        end loop;
        if v_drawn.places is null then
            perform ducto.lock_together(v_items);
        elsif not v_drawn.again then
            -- What was charged before stands in the way of the others of its account.
            for v_one in select r.place, r.result from ducto.replay_together(v_items) r loop
                v_results[v_one.place] := v_one.result;
                v_items[v_one.place] := null;
            end loop;
            exit when not found;
        end if;
        select d.* into v_drawn
        from ducto.draw_together(ducto.price_together(to_jsonb(v_items)), true) d;
    end loop;
    for v_index in 1 .. cardinality(v_items) loop
        if v_items[v_index] is not null then
            v_results[v_index] := coalesce(
                ducto.check_batch_item(v_items[v_index]), ducto.charge_item(v_items[v_index])
            );
        end if;
    end loop;
    return to_jsonb(v_results);
end
$$;
comment on function public.ducto_deduct_batch(jsonb) is
    'Charges many usages of many users in one call. p_charges: up to 1000 objects with user_id, '
    'one of metrics, amount or job_name, and optionally team_id (the team pays), idempotency_key, '
    'metadata and occurred_at (ISO 8601 with a zone). Returns one result per item, in order: '
    'status ok, denied or error; an item that fails spoils no other. Errors raised: DU017 (not an '
    'array). Callers: service, admin. Idempotent item by item.';

create or replace function public.ducto_deduct_batch(p_charges jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    v_results jsonb[];
    v_bookings ducto.booking[] := '{}'::ducto.booking[];
    v_more ducto.booking[];
    v_used text[];
    v_item jsonb;
    v_one record;
begin
    if jsonb_typeof(p_charges) is distinct from 'array'
        or jsonb_array_length(p_charges) > 1000
    then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_charges', 'Charges are a JSON array of at most 1000 objects.'
        ));
    end if;
    v_results := array_fill(null::jsonb, array[jsonb_array_length(p_charges)]);
    -- What was charged before is answered as it was: an entry never changes, so nothing is locked.
    for v_one in select r.place, r.result from ducto.replay_together(p_charges) r loop
        v_results[v_one.place] := v_one.result;
    end loop;
    -- Accounts are locked in one pass and one order, those that come into being among them.
    for v_one in
        select coalesce(c.item ->> 'team_id', c.item ->> 'user_id') as account_id,
            count(c.item ->> 'team_id') as of_teams, count(*) as items_all,
            array_agg(c.place::integer order by c.place) as places,
            array_agg(c.item order by c.place) as items
        from jsonb_array_elements(p_charges) with ordinality c (item, place)
        where v_results[c.place::integer] is null and ducto.check_batch_item(c.item) is null
        group by 1
        -- Only here: a collation of its own would follow the id into every look-up.
        order by min(coalesce(c.item ->> 'team_id', c.item ->> 'user_id') collate "C")
    loop
        v_more := case when v_one.of_teams = 0
            then ducto.draw_together(v_one.account_id, v_one.places, v_one.items) end;
        if v_more is not null then
            v_bookings := v_bookings || v_more;
        elsif v_one.of_teams < v_one.items_all or ducto.is_team(v_one.account_id) then
            perform ducto.lock_account(v_one.account_id);
        end if;
    end loop;
    v_used := ducto.used_keys(v_bookings);
    v_bookings := ducto.put_back(v_bookings, v_used);
    for v_one in select b.place, b.result from ducto.book_together(v_bookings) b loop
        v_results[v_one.place] := v_one.result;
    end loop;
    for v_index in 1 .. jsonb_array_length(p_charges) loop
        continue when v_results[v_index] is not null;
        v_item := p_charges -> v_index - 1;
        v_results[v_index] := coalesce(ducto.check_batch_item(v_item), ducto.charge_item(v_item));
    end loop;
    return coalesce(to_jsonb(v_results), '[]');
end
$$;
comment on function public.ducto_deduct_batch(jsonb) is
    'Charges many usages of many users in one call. p_charges: up to 1000 objects with user_id, '
    'one of metrics, amount or job_name, and optionally team_id (the team pays), idempotency_key, '
    'metadata and occurred_at (ISO 8601 with a zone). Returns one result per item, in order: '
    'status ok, denied or error; an item that fails spoils no other. Errors raised: DU017 (not an '
    'array). Callers: service, admin. Idempotent item by item.';

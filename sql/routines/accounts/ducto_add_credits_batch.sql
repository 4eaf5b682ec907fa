create or replace function public.ducto_add_credits_batch(p_grants jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_results jsonb[];
    v_failure jsonb;
    v_grant record;
begin
    if jsonb_typeof(p_grants) is distinct from 'array'
        or jsonb_array_length(p_grants) > 100000
    then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_grants', 'Grants are a JSON array of at most 100000 objects.'
        ));
    end if;
    v_results := array_fill(null::jsonb, array[jsonb_array_length(p_grants)]);
    -- Accounts are locked one after the other, in one order.
    for v_grant in
        select g.place, g.item, coalesce(nullif(g.item -> 'type', 'null') #>> '{}', 'adjustment')
                as type,
            ducto.read_instant(g.item ->> 'expires_at') as expires_at
        from jsonb_array_elements(p_grants) with ordinality g (item, place)
        order by g.item ->> 'user_id' collate "C", g.place
    loop
        v_failure := ducto.check_grant_item(v_grant.item, v_grant.type, v_grant.expires_at);
        if v_failure is not null then
            perform ducto.raise_error('DU017', v_failure || jsonb_build_object(
                'place', v_grant.place,
                'message', format('Grant %s: %s', v_grant.place, v_failure ->> 'message')
            ));
        end if;
        v_results[v_grant.place] := ducto.add_credits(
            ducto.lock_account(v_grant.item ->> 'user_id'),
            (v_grant.item ->> 'amount')::numeric, v_grant.type, v_grant.expires_at,
            coalesce((v_grant.item ->> 'priority')::integer, 100),
            v_grant.item ->> 'idempotency_key', nullif(v_grant.item -> 'metadata', 'null'),
            v_grant.item ->> 'category'
        );
    end loop;
    return coalesce(to_jsonb(v_results), '[]');
end
$$;
comment on function public.ducto_add_credits_batch(jsonb) is
    'Grants credits to many users in one call, all of them or none: for moving in from another '
    'system. p_grants: up to 100000 objects with user_id and amount, and optionally type, '
    'expires_at (ISO 8601 with a zone), priority, idempotency_key, metadata and category, as '
    'ducto_add_credits takes them. Returns its result for each, in order. Errors: DU002, DU007, '
    'DU017 naming the grant by its place. Callers: service, admin. Idempotent grant by grant.';

-- The terms of an operation that the plan has a policy for, and what holds for every operation: the
-- highest floor, and which of them need a feature that the plan lacks.
create or replace function ducto.apply_policy(
    p_terms ducto.terms,
    p_policies jsonb,
    p_operation text,
    p_billing_mode text,
    p_overdraft_floor numeric,
    p_min_balance numeric
)
returns ducto.terms
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.terms := p_terms;
    v_operation text;
    v_policy jsonb;
    v_floor numeric;
begin
    for v_operation, v_policy in select p.key, p.value from jsonb_each(p_policies) p loop
        v_floor := case when coalesce(v_policy ->> 'billing_mode', p_billing_mode) = 'overdraft'
            then coalesce((v_policy -> 'overdraft_floor')::numeric, p_overdraft_floor, -1e25)
            else p_min_balance end;
        v.floor_max := greatest(v.floor_max, v_floor);
        if not ducto.has_feature(v.features, v_policy ->> 'required_feature') then
            v.refused := v.refused || v_operation;
        end if;
        if v_operation = p_operation then
            v.floor := v_floor;
            v.max_concurrent_operation := (v_policy -> 'max_concurrent')::integer;
            if not ducto.has_feature(v.features, v_policy ->> 'required_feature') then
                v.missing_feature := v_policy ->> 'required_feature';
            end if;
        end if;
    end loop;
    return v;
end
$$;

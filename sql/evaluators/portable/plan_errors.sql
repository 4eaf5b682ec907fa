-- What is wrong with a plan, its rate overrides aside. `p_taken`: a plan before it has the same
-- key. `p_default`: the path of the default plan before it.
create or replace function ducto.plan_errors(
    p_path text,
    p_key jsonb,
    p_plan jsonb,
    p_taken boolean,
    p_default text
)
returns table (path text, message text, name text, known text[])
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kinds constant text[] := '{
        id,"", name,name, free_allowance,positive, rate_overrides,"", features,features,
        default_billing_mode,strict|overdraft, overdraft_floor,floor, max_concurrent,count,
        per_operation,operations, period,daily|weekly|monthly|yearly,
        period_anchor,calendar|account, rollover_max,positive, default,boolean
    }'::text[];
begin
    if jsonb_typeof(p_plan) <> 'object' then
        path := p_path;
        message := 'a plan must be an object';
        return next;
        return;
    end if;
    return query select e.* from ducto.key_errors(p_path, p_plan, v_kinds) e;
    path := p_path || '.id';
    if p_plan -> 'id' <> p_key then
        message := 'the id differs from the key that the plan is under';
        return next;
    end if;
    message := case
        when p_key is null or p_key = 'null' then 'a plan needs an id'
        else coalesce(
            ducto.name_problem(p_key),
            case when p_taken then format('two plans have the id ''%s''', p_key #>> '{}') end
        ) end;
    if message is not null then
        return next;
    end if;
    return query select e.* from ducto.setting_errors(p_path, p_plan, v_kinds) e;
    if p_plan -> 'default' = 'true' and p_default is not null then
        path := p_path || '.default';
        message := p_default || ' is the default plan already';
        return next;
    end if;
end
$$;
comment on function ducto.plan_errors(text, jsonb, jsonb, boolean, text) is
    'What is wrong with a plan of a pricing config: rows as those of ducto.key_errors.';

-- What is wrong with the policy of an operation type.
create or replace function ducto.policy_errors(p_path text, p_operation text, p_policy jsonb)
returns table (path text, message text, name text, known text[])
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kinds constant text[] := '{
        billing_mode,strict|overdraft, overdraft_floor,floor, max_concurrent,count,
        required_feature,name
    }'::text[];
begin
    message := coalesce(
        ducto.name_problem(to_jsonb(p_operation)),
        case when jsonb_typeof(p_policy) <> 'object' then 'a policy must be an object' end
    );
    if message is not null then
        path := p_path;
        return next;
        return;
    end if;
    return query select e.* from ducto.key_errors(p_path, p_policy, v_kinds) e;
    return query select e.* from ducto.setting_errors(p_path, p_policy, v_kinds) e;
end
$$;
comment on function ducto.policy_errors(text, text, jsonb) is
    'What is wrong with a policy of a pricing config: rows as those of ducto.key_errors.';

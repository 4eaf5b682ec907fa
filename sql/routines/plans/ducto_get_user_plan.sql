create or replace function public.ducto_get_user_plan(p_user_id text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return ducto.plan_object(p_user_id, ducto.now());
end
$$;
comment on function public.ducto_get_user_plan(text) is
    'The plan of a user (plan_key null: none; assigned false: the default plan), its features, and '
    'what is left of the current period''s allowance. Callers: service, admin, reader.';

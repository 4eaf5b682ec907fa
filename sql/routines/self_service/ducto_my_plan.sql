create or replace function public.ducto_my_plan()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return public.ducto_get_user_plan(ducto.signed_in_user());
end
$$;
comment on function public.ducto_my_plan() is
    'The plan of the signed-in user, its features, and what is left of the period''s allowance. '
    'The user is taken from the verified token. Errors: DU023. Callers: authenticated.';

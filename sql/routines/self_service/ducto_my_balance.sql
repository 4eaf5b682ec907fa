create or replace function public.ducto_my_balance()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return public.ducto_get_balance(ducto.signed_in_user());
end
$$;
comment on function public.ducto_my_balance() is
    'What the signed-in user has, as ducto_get_balance tells it. The user is taken from the '
    'verified token. Errors: DU023. Callers: authenticated.';

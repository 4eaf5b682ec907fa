create or replace function public.ducto_unfreeze_account(p_user_id text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return ducto.set_account_status(p_user_id, 'active');
end
$$;
comment on function public.ducto_unfreeze_account(text) is
    'Lets a frozen account charge again. Errors: DU017. Callers: service, admin. Idempotent.';

create or replace function public.ducto_freeze_account(p_user_id text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return ducto.set_account_status(p_user_id, 'frozen');
end
$$;
comment on function public.ducto_freeze_account(text) is
    'Stops charges and holds of an account (DU019) until ducto_unfreeze_account; grants, refunds '
    'and settlements go on. Errors: DU017. Callers: service, admin. Idempotent.';

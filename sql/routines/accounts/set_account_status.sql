-- Freezing is a flag on the account, read by every charge under the account's lock.
create or replace function ducto.set_account_status(p_account_id text, p_status text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_failure jsonb := ducto.check_arguments(p_account_id, null, null, null);
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_account := ducto.lock_account(p_account_id);
    v_account.status := p_status;
    perform ducto.save_account(v_account);
    return jsonb_build_object('user_id', p_account_id, 'status', p_status);
end
$$;
comment on function ducto.set_account_status(text, text) is
    'Sets the status of an account, creating the account on first touch.';

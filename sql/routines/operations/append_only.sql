-- The ledger is append-only, for every role: a correction is a new entry. And an account that
-- entries may name is neither deleted nor renamed.
create or replace function ducto.append_only()
returns trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('%s is permanent: %s is refused.', tg_table_name, lower(tg_op)),
        hint = 'Correct a charge with ducto_refund, a grant with ducto_revoke_grant; stop an '
            'account with ducto_freeze_account.';
end
$$;

create or replace trigger append_only
before update or delete on ducto.credit_transactions
for each row execute function ducto.append_only();

-- By statement: a trigger by row would fetch and lock the row with every charge.
create or replace trigger permanent
before delete or update of account_id on ducto.credit_accounts
for each statement execute function ducto.append_only();

create or replace trigger append_only_truncate
before truncate on ducto.credit_transactions
for each statement execute function ducto.append_only();

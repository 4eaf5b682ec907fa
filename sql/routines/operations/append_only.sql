-- The ledger is append-only, for every role: a correction is a new entry.
create or replace function ducto.append_only()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('%s is append-only: %s is refused.', tg_table_name, lower(tg_op)),
        hint = 'Correct a charge with ducto_refund, a grant with ducto_revoke_grant.';
end
$$;

create or replace trigger append_only
before update or delete on ducto.credit_transactions
for each row execute function ducto.append_only();

create or replace trigger append_only_truncate
before truncate on ducto.credit_transactions
for each statement execute function ducto.append_only();

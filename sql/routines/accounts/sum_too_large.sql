-- The refusal of what would make a sum of an account more than can be stored.
create or replace function ducto.sum_too_large(p_account_id text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return ducto.invalid('p_amount', format(
        'A sum of the account %s would reach 10^26, more than can be stored.', p_account_id
    ));
end
$$;

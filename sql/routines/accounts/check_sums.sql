-- Every sum of an account stays below 10^26, what can be stored with twelve decimal places.
create or replace function ducto.check_sums(p_account ducto.account)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if greatest(
        abs(p_account.balance), p_account.debt, p_account.allowance, p_account.held,
        p_account.granted, p_account.spent,
        abs(p_account.balance + p_account.allowance - p_account.held)
    ) >= 1e26 then
        perform ducto.raise_error('DU017', ducto.sum_too_large(p_account.account_id));
    end if;
end
$$;

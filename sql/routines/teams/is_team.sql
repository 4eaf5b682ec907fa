-- Whether an account is a team's. Teams are neither deleted nor renamed, so it needs no lock.
create or replace function ducto.is_team(p_account_id text)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from ducto.credit_accounts a
        where a.account_id = p_account_id and a.kind = 'team'
    );
end
$$;

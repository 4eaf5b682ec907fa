-- The part of the rollup with the fewest rows that keeps apart what is asked for.
create or replace function ducto.usage_scope(p_by text[], p_account_id text)
returns text
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case
        when not (p_by && '{account,user}' or p_account_id is not null) then 'model'
        when p_by && '{model,operation}' then 'detail'
        else 'user'
    end;
$$;

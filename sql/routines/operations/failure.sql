-- A charge that may not happen, as a result: `denied` by a rule, or `error` in what was asked.
create or replace function ducto.failure(p_status text, p_code text, p_detail jsonb)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('status', p_status) || ducto.error_object(p_code, p_detail);
$$;

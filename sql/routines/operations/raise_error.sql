-- Raises a business error: SQLSTATE is its code, inside the database always. Only where nothing in
-- the database could catch it, because PostgREST itself called the API, it is raised in the form
-- that PostgREST makes an HTTP status of, whose SQLSTATE is PGRST.
create or replace function ducto.raise_error(p_code text, p_detail jsonb default '{}')
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_error jsonb := ducto.error_object(p_code, p_detail);
    v_facts jsonb := v_error - 'message' - 'hint' - 'status';
    v_stack text;
begin
    get diagnostics v_stack = pg_context;
    if ducto.answers_http(v_stack) then
        raise sqlstate 'PGRST' using
            message = jsonb_build_object(
                'code', p_code,
                'message', v_error ->> 'message',
                'details', v_facts::text,
                'hint', v_error ->> 'hint'
            )::text,
            detail = jsonb_build_object(
                'status', (select c.http_status from ducto.error_catalogue c where c.code = p_code),
                'headers', '{}'::jsonb
            )::text;
    end if;
    raise exception using
        errcode = p_code,
        message = v_error ->> 'message',
        detail = v_facts::text,
        hint = v_error ->> 'hint';
end
$$;
comment on function ducto.raise_error(text, jsonb) is
    'Raises the error p_code of the catalogue; p_detail fills its placeholders and becomes DETAIL.';

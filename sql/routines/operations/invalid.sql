-- What is wrong with an argument, as an error object that a caller raises or returns.
create or replace function ducto.invalid(p_argument text, p_message text)
returns jsonb
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select ducto.error_object(
        'DU017', jsonb_build_object('argument', p_argument, 'message', p_message)
    ) || '{"status": "error"}';
$$;

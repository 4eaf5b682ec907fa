-- The outcome of checking a config that fails as a whole.
create or replace function ducto.one_config_error(p_path text, p_message text)
returns jsonb
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return jsonb_build_object(
    'errors', jsonb_build_array(
        jsonb_build_object('path', p_path, 'message', p_message, 'code', 'DU006')
    ),
    'count', 1,
    'warnings', '[]'::jsonb,
    'programs', '{}'::jsonb,
    'code', 'DU006'
);
comment on function ducto.one_config_error(text, text) is
    'The outcome of checking a pricing config with one error.';

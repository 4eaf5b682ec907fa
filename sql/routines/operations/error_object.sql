-- The one form of an error: code, name, sentence, hint, and the facts behind it.
create or replace function ducto.error_object(p_code text, p_detail jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_error ducto.error_catalogue;
    v_message text;
    v_hint text;
    v_key text;
    v_value text;
begin
    select c.* into strict v_error from ducto.error_catalogue c where c.code = p_code;
    v_message := coalesce(p_detail ->> 'message', v_error.message);
    v_hint := coalesce(p_detail ->> 'hint', case when p_detail ->> 'nearest' is null
        then regexp_replace(v_error.hint, '\[.*\]', '') else translate(v_error.hint, '[]', '') end);
    for v_key, v_value in select d.key, d.value from jsonb_each_text(p_detail) d loop
        v_message := replace(v_message, '{' || v_key || '}', coalesce(v_value, 'none'));
        v_hint := replace(v_hint, '{' || v_key || '}', coalesce(v_value, 'none'));
    end loop;
    return p_detail || jsonb_build_object(
        'code', p_code,
        'error', v_error.name,
        'message', v_message,
        'hint', v_hint
    );
end
$$;
comment on function ducto.error_object(text, jsonb) is
    'The error p_code with its message and hint filled in from p_detail.';

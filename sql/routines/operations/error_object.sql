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
    v_hint text;
begin
    select c.* into strict v_error from ducto.error_catalogue c where c.code = p_code;
    -- What stands in brackets is said only where a nearest name is known.
    v_hint := case
        when p_detail ->> 'nearest' is null then regexp_replace(v_error.hint, '[[].*[]]', '')
        else translate(v_error.hint, '[]', '')
    end;
    -- A sentence that the detail brings holds its values already and is taken as it is.
    return case when octet_length(p_detail::text) < 4000 then p_detail else (
        select jsonb_object_agg(d.key, case when jsonb_typeof(d.value) = 'string'
            then to_jsonb(ducto.shorten(d.value #>> '{}', 1000)) else d.value end)
        from jsonb_each(p_detail) d
    ) end || jsonb_build_object(
        'code', p_code,
        'error', v_error.name,
        'message', coalesce(
            ducto.shorten(p_detail ->> 'message', 1000), ducto.fill_in(v_error.message, p_detail)
        ),
        'hint', coalesce(
            ducto.shorten(p_detail ->> 'hint', 1000), ducto.fill_in(v_hint, p_detail)
        )
    );
end
$$;
comment on function ducto.error_object(text, jsonb) is
    'The error p_code with its message and hint filled in from p_detail.';

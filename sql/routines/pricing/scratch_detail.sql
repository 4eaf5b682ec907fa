-- The detail of a refusal by a config that is not published: it names no version, because the one
-- it was staged under means nothing to anybody.
create or replace function ducto.scratch_detail(p_refusal jsonb)
returns jsonb
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return coalesce(
    case p_refusal ->> 'code'
        when 'DU004' then
            '{"message": "The model {model} has no price in this pricing; it has no _default."}'
        when 'DU018' then
            '{"message": "The job {job_name} has no fixed price in this pricing."}'
        end::jsonb,
    '{}'
) || ((p_refusal -> 'detail') - 'version');
comment on function ducto.scratch_detail(jsonb) is
    'The detail of a refusal by a config that is not published.';

-- The detail of a refusal by a config that is not published: it names no version, because the one
-- it was staged under means nothing to anybody.
create or replace function ducto.scratch_detail(p_refusal jsonb)
returns jsonb
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return jsonb_strip_nulls(jsonb_build_object('message', case p_refusal ->> 'code'
    when 'DU004' then format(
        'The model %s has no price in this pricing; it has no _default.',
        p_refusal -> 'detail' ->> 'model'
    )
    when 'DU018' then format(
        'The job %s has no fixed price in this pricing.', p_refusal -> 'detail' ->> 'job_name'
    )
    end)) || ((p_refusal -> 'detail') - 'version');
comment on function ducto.scratch_detail(jsonb) is
    'The detail of a refusal by a config that is not published.';

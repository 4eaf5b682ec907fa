-- The expressions that price a usage, for people to read.
create or replace function ducto.usage_rates(
    p_version integer,
    p_plan_key text,
    p_metrics jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_plan_keys text[] := case when p_plan_key is null then '{""}' else array[p_plan_key, ''] end;
    v_usage jsonb;
    v_names jsonb;
begin
    select ducto.read_usage(p_metrics, c.metric_names) into v_usage
    from ducto.credit_pricing_config c where c.version = p_version;
    -- Which names the usage looks up, section by section; search and cache are summed whole.
    select jsonb_agg(jsonb_build_object('section', n.section, 'key', n.key)) into v_names from (
        select 'models' as section, coalesce(p_metrics ->> 'model', '_default') as key
        where p_metrics ? 'model' or not p_metrics ? 'job_name'
        union all
        select 'tools', t.name from jsonb_object_keys(v_usage -> 'calls') t (name)
        union all
        select 'tools', '_default' where v_usage -> 'unnamed_calls' <> '0' or exists (
            select from jsonb_object_keys(v_usage -> 'calls') t (name)
            where (ducto.find_rate(p_version, v_plan_keys, 'tools', t.name)).key is null
        )
        union all
        select distinct r.section, r.key from ducto.credit_rates r
        where r.version = p_version and r.plan_key = any (v_plan_keys)
            and r.section in ('search', 'cache')
        union all
        select 'fixed', p_metrics ->> 'job_name' where p_metrics ? 'job_name'
    ) n;
    return coalesce((
        select jsonb_agg(jsonb_build_object(
            'section', r.section, 'key', r.key, 'plan_key', nullif(r.plan_key, ''),
            'expression', r.expression
        ))
        from jsonb_to_recordset(v_names) as n (section text, key text)
        cross join lateral (
            select m.* from ducto.find_model(p_version, v_plan_keys, p_metrics ->> 'model') m
            where n.section = 'models'
            union all
            select f.* from ducto.find_rate(p_version, v_plan_keys, n.section, n.key) f
            where n.section <> 'models'
        ) r
        where r.version is not null
    ), '[]');
end
$$;

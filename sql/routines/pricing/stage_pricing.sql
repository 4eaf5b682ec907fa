-- Writes a valid config as the rows of one version: its settings, plans and programs. Used to
-- publish a version and, under a negative version that the same call deletes, to price with a
-- config that is not published.
create or replace function ducto.stage_pricing(
    p_version integer,
    p_config jsonb,
    p_programs jsonb,
    p_label text,
    p_active boolean
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_plain record;
begin
    insert into ducto.credit_pricing_config (
        version, label, config, active, scale, rounding, min_balance, metric_names,
        summed_sections, override_plans, default_plan_key, low_balance_thresholds, signup_bonus,
        created_at
    )
    select
        p_version, p_label, p_config, p_active,
        coalesce((p_config -> 'scale')::smallint, 12),
        coalesce(p_config ->> 'rounding', 'half_up'),
        coalesce((p_config -> 'min_balance')::numeric, 0),
        ducto.config_metrics(p_config),
        array(
            select distinct r.section from ducto.config_rates(p_config) r
            where r.section in ('search', 'cache') order by 1
        ),
        array(
            select distinct r.plan_key from ducto.config_rates(p_config) r
            where r.plan_key <> '' order by 1
        ),
        (select p.plan_key from ducto.config_plans(p_config) p where p.plan -> 'default' = 'true'),
        array(
            select t.balance::numeric
            from jsonb_array_elements(coalesce(p_config -> 'low_balance_thresholds', '[]'))
                t(balance)
            group by 1 order by 1 desc
        ),
        coalesce((p_config -> 'signup_bonus')::numeric, 0),
        ducto.now()
    -- Never met but by a SERIALIZABLE snapshot that is too old, which fails to serialise here.
    on conflict (version) do nothing;
    perform ducto.stage_plans(p_version, p_config);
    -- A handful of exceptions is stored with each rate; more would not pay.
    select c.scale, c.override_plans into v_plain
    from ducto.credit_pricing_config c
    where c.version = p_version and c.rounding = 'half_up' and c.summed_sections = '{}'
        and cardinality(c.override_plans) <= 8;
    insert into ducto.credit_rates (
        version, plan_key, section, key, expression, code, constants, names, factors,
        plain_scale, plain_except
    )
    select
        p_version, r.plan_key, r.section, r.key, r.expression, p.code, p.constants, p.names,
        case when r.section = 'models' and r.plan_key = ''
            then ducto.linear_terms(p.code, p.constants, p.names) end,
        v_plain.scale, v_plain.override_plans
    from ducto.config_rates(p_config) r
    left join (
        select e.key, array(
                select c.value::integer from jsonb_array_elements(e.value -> 'code') c
            ) as code, array(
                select c.value::numeric
                from jsonb_array_elements_text(e.value -> 'constants') c
            ) as constants, array(
                select n.value from jsonb_array_elements_text(e.value -> 'names') n
            ) as names
        from jsonb_each(p_programs) e
    ) p on p.key = r.expression;
end
$$;
comment on function ducto.stage_pricing(integer, jsonb, jsonb, text, boolean) is
    'Writes a valid pricing config as the rows of a version.';

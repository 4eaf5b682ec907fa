-- A published version is immutable: charges name it, and recomputing one must give what it gave.
-- Only which version is active may change. Scratch versions come and go.
create or replace function ducto.guard_pricing()
returns trigger
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('%s is permanent: %s is refused.', tg_table_name, lower(tg_op)),
        hint = 'Publish a new version with ducto_pricing_set.';
end
$$;
comment on function ducto.guard_pricing() is
    'Trigger: refuses to change or delete a published pricing version.';

create or replace trigger permanent
before delete or update of
    version, id, label, config, scale, rounding, min_balance, metric_names, summed_sections,
    override_plans, default_plan_key, low_balance_thresholds, signup_bonus, created_at, created_by,
    xid
on ducto.credit_pricing_config
for each row when (old.version > 0) execute function ducto.guard_pricing();

create or replace trigger permanent
before update or delete on ducto.credit_rates
for each row when (old.version > 0) execute function ducto.guard_pricing();

create or replace trigger permanent
before update or delete on ducto.credit_plans
for each row when (old.version > 0) execute function ducto.guard_pricing();

create or replace trigger permanent_truncate
before truncate on ducto.credit_pricing_config
for each statement execute function ducto.guard_pricing();

create or replace trigger permanent_truncate
before truncate on ducto.credit_rates
for each statement execute function ducto.guard_pricing();

create or replace trigger permanent_truncate
before truncate on ducto.credit_plans
for each statement execute function ducto.guard_pricing();

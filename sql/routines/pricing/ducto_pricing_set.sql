create or replace function public.ducto_pricing_set(p_config jsonb, p_label text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked jsonb;
    v_version integer;
begin
    if length(p_label) not between 1 and 200 then
        perform ducto.raise_error('DU017', jsonb_build_object(
            'argument', 'p_label', 'message', 'A label has 1 to 200 characters.'
        ));
    end if;
    -- Compiling takes longest and needs no lock.
    v_checked := ducto.check_pricing(p_config);
    perform ducto.require_valid(v_checked);
    perform ducto.lock_pricing();
    -- First, so that under a snapshot that is too old the transaction fails to serialise here.
    update ducto.credit_pricing_config c set active = false where c.active;
    select coalesce(max(c.version), 0) + 1 into v_version
    from ducto.credit_pricing_config c where c.version > 0;
    perform ducto.stage_pricing(v_version, p_config, v_checked -> 'programs', p_label, true);
    perform ducto.activate_rates(v_version);
    -- Sessions that planned their look-ups when there were few rates must plan them anew.
    analyze (skip_locked) ducto.credit_rates, ducto.credit_linear_rates;
    return ducto.pricing_object(v_version)
        || jsonb_build_object('warnings', v_checked -> 'warnings');
end
$$;
comment on function public.ducto_pricing_set(jsonb, text) is
    'Publishes a pricing config as a new version and makes it the active one: '
    '{id, version, label, active, config, created_at, warnings}. Errors: DU005 when only '
    'expressions are wrong, otherwise DU006, either with the first hundred errors and their paths; '
    'DU017. Callers: admin. Not idempotent: every call is a new version.';

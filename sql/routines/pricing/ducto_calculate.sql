create or replace function public.ducto_calculate(
    p_metrics jsonb,
    p_config jsonb default null,
    p_version integer default null,
    p_plan_key text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_version integer := p_version;
    v_price jsonb;
begin
    if p_config is not null and p_version is not null then
        perform ducto.raise_error('DU017', jsonb_build_object(
            'argument', 'p_version', 'message', 'Give a config or a version, not both.'
        ));
    elsif p_config is not null then
        v_version := ducto.scratch_pricing(p_config);
    elsif p_version is null then
        select c.version into v_version from ducto.credit_pricing_config c where c.active;
        if not found then
            perform ducto.raise_error('DU003');
        end if;
    elsif p_version < 0 then
        perform ducto.raise_error('DU020', jsonb_build_object('version', p_version));
    end if;
    perform ducto.require_plan(v_version, p_plan_key);
    v_price := ducto.price_usage(v_version, p_plan_key, p_metrics);
    if v_price ? 'code' then
        perform ducto.raise_error(v_price ->> 'code', case when p_config is null
            then v_price -> 'detail' else ducto.scratch_detail(v_price) end);
    end if;
    if p_config is not null then
        perform ducto.drop_scratch(v_version);
        v_version := null;
    end if;
    return v_price -> 'breakdown' || v_price || jsonb_build_object(
        'pricing_version', v_version, 'plan_key', nullif(p_plan_key, '')
    );
end
$$;
comment on function public.ducto_calculate(jsonb, jsonb, integer, text) is
    'Prices a usage without an account and without charging it: {model, total, tools, search, '
    'cache, fixed, breakdown, cost, warnings, pricing_version, plan_key}; `model` is the model''s '
    'name, its part of the price is in the breakdown. With a config (which is not published), a '
    'version, or else the active pricing; with the rates of a plan if one is named. Errors: DU003, '
    'DU004, DU014, DU017, DU018, DU020, DU022; DU005 and DU006 for a config. '
    'Callers: service, admin, reader.';

create or replace function public.ducto_check_feature(p_user_id text, p_feature text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v record := ducto.assess(ducto.find_account(p_user_id), null, 0, null, ducto.now(), null);
    v_features jsonb := ducto.plan_features(v.version, v.plan_key);
begin
    return jsonb_build_object(
        'user_id', p_user_id,
        'feature', p_feature,
        'plan_key', v.plan_key,
        'has_feature', coalesce(ducto.has_feature(v_features, p_feature), false),
        'value', v_features -> p_feature
    );
end
$$;
comment on function public.ducto_check_feature(text, text) is
    'Whether the user''s plan has a feature (present, and neither null nor false), and its value. '
    'Callers: service, admin, reader.';

create or replace function public.ducto_check_feature(p_user_id text, p_feature text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.find_account(p_user_id);
    v_terms ducto.terms := ducto.read_terms(v_account, null, ducto.now());
begin
    if (length(p_feature) between 1 and 200) is not true then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_feature', 'A feature''s name has 1 to 200 characters.'
        ));
    end if;
    return jsonb_build_object(
        'user_id', p_user_id,
        'feature', p_feature,
        'plan_key', v_terms.plan_key,
        'has_feature', ducto.has_feature(v_terms.features, p_feature),
        'value', v_terms.features -> p_feature
    );
end
$$;
comment on function public.ducto_check_feature(text, text) is
    'Whether the user''s plan has a feature (present, and neither null nor false), and its value. '
    'Errors: DU017. Callers: service, admin, reader.';

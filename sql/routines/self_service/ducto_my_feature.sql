create or replace function public.ducto_my_feature(p_feature text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id text := ducto.signed_in_user();
begin
    if (length(p_feature) between 1 and 200) is not true then
        perform ducto.raise_error(
            'DU017', ducto.invalid('p_feature', 'A feature''s name has 1 to 200 characters.')
        );
    end if;
    return public.ducto_check_feature(v_user_id, p_feature);
end
$$;
comment on function public.ducto_my_feature(text) is
    'Whether the plan of the signed-in user has a feature, and its value. The user is taken from '
    'the verified token. Errors: DU017, DU023. Callers: authenticated.';

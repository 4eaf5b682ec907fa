create or replace function public.ducto_my_quote(p_metrics jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return public.ducto_quote(ducto.signed_in_user(), ducto.from_query(p_metrics))
        - '{team_id,allocations}'::text[];
end
$$;
comment on function public.ducto_my_quote(jsonb) is
    'What a usage would cost the signed-in user, and whether they can afford it; charges nothing. '
    'The user is taken from the verified token. Errors: DU003, DU004, DU017, DU018, DU022, DU023. '
    'Callers: authenticated.';

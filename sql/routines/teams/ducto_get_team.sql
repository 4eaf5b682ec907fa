create or replace function public.ducto_get_team(p_team_id text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_team jsonb := ducto.team_object(p_team_id, ducto.now());
begin
    if v_team is null then
        perform ducto.raise_error('DU015', jsonb_build_object('team_id', p_team_id));
    end if;
    return v_team;
end
$$;
comment on function public.ducto_get_team(text) is
    'A team, with what it has: balance, allowance left, credits held, and available = balance + '
    'allowance_remaining - held. Errors: DU015, DU017. Callers: service, admin, reader.';

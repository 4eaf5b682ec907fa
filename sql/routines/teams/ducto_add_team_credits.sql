create or replace function public.ducto_add_team_credits(
    p_team_id text,
    p_amount numeric,
    p_type text default 'adjustment',
    p_expires_at timestamptz default null,
    p_priority integer default 100,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_category text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := ducto.lock_team(p_team_id);
    v_failure jsonb := ducto.check_grant(
        p_team_id, p_amount, p_type, p_expires_at, p_category, p_idempotency_key, p_metadata
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    return ducto.add_credits(
        v_account, p_amount, p_type, p_expires_at, p_priority, p_idempotency_key, p_metadata,
        p_category
    ) || jsonb_build_object('team_id', p_team_id);
end
$$;
comment on function public.ducto_add_team_credits(
    text, numeric, text, timestamptz, integer, text, jsonb, text
) is
    'As ducto_add_credits, to a team, which must exist. Errors: DU002, DU007, DU015, DU017. '
    'Callers: service, admin. Idempotent by p_idempotency_key.';

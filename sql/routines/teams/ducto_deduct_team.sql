create or replace function public.ducto_deduct_team(
    p_team_id text,
    p_user_id text,
    p_metrics jsonb,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}',
    p_raise boolean default true,
    p_occurred_at timestamptz default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure jsonb;
begin
    -- Nobody is a team of one's own: this is never the charge of a user.
    if (p_team_id <> p_user_id) is not true then
        v_failure := ducto.check_payer(p_team_id, p_user_id);
        perform ducto.raise_error(v_failure ->> 'code', v_failure);
    end if;
    return ducto.charge(
        p_team_id, p_user_id, coalesce(p_metrics, 'null'), null,
        p_idempotency_key, p_metadata, p_occurred_at, coalesce(p_raise, true)
    );
end
$$;
comment on function public.ducto_deduct_team(
    text, text, jsonb, text, jsonb, boolean, timestamptz
) is
    'As ducto_deduct, paid by the team: its plan, allowance, caps and balance count, and the cap '
    'of the member p_user_id, who is the actor. Errors: DU003, DU004, DU007, DU015, DU016, DU017, '
    'DU018, DU022; denials: DU001, DU002, DU013, DU019. Callers: service, admin. Idempotent by '
    'p_idempotency_key, which names one operation of the team.';

-- The team that was created under a key, by a call whose id is taken; raises DU007 where the key
-- stands for another call, and DU017 where the id is anybody else's.
create or replace function ducto.find_created_team(
    p_team_id text,
    p_idempotency_key text,
    p_fingerprint bytea
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_team record;
begin
    select t.fingerprint, t.idempotency_key into v_team from ducto.credit_teams t
    where t.account_id = p_team_id;
    if not found then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_team_id', format('%s is a user, not a new team.', p_team_id)
        ));
    elsif v_team.idempotency_key is null or p_idempotency_key is null
        or v_team.idempotency_key <> p_idempotency_key
    then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_team_id', format('There is a team %s already.', p_team_id)
        ));
    elsif v_team.fingerprint <> p_fingerprint then
        perform ducto.raise_error(
            'DU007', ducto.key_conflict(p_team_id, p_idempotency_key, null)
        );
    end if;
    return ducto.team_object(p_team_id, ducto.now()) || '{"replayed": true}';
end
$$;

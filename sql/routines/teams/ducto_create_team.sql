create or replace function public.ducto_create_team(
    p_name text,
    p_initial_balance numeric default 0,
    p_team_id text default null,
    p_owner_id text default null,
    p_idempotency_key text default null,
    p_metadata jsonb default '{}'
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_now timestamptz := ducto.now();
    -- A call that names a key and no id names the same id when it is repeated.
    v_team_id constant text := coalesce(p_team_id, 'team_' || left(case
        when p_idempotency_key is null then replace(gen_random_uuid()::text, '-', '')
        else encode(ducto.fingerprint('team', p_idempotency_key), 'hex') end, 32));
    v_fingerprint constant bytea := ducto.fingerprint(
        'create_team', v_team_id, p_name, trim_scale(p_initial_balance)::text, p_owner_id
    );
    v_failure jsonb := ducto.check_team(
        p_name, p_initial_balance, p_team_id, p_owner_id, p_idempotency_key, p_metadata
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    insert into ducto.credit_accounts as a (account_id, kind, created_at, plan_since)
    values (v_team_id, 'team', v_now, v_now)
    on conflict do nothing
    returning a.* into v_account;
    if not found then
        return ducto.find_created_team(v_team_id, p_idempotency_key, v_fingerprint);
    end if;
    insert into ducto.credit_teams (
        account_id, name, metadata, idempotency_key, fingerprint, created_at
    ) values (
        v_team_id, p_name, nullif(p_metadata, '{}'), p_idempotency_key, v_fingerprint, v_now
    );
    if p_owner_id is not null then
        insert into ducto.credit_team_members (account_id, user_id, role, created_at)
        values (v_team_id, p_owner_id, 'owner', v_now);
    end if;
    if p_initial_balance > 0 then
        v_account := (ducto.grant_credits(
            v_account, v_now, p_initial_balance, 'opening', null, null, null,
            p_idempotency_key, v_fingerprint, '{}'
        )).account;
        v_account.alerted_below := ducto.check_thresholds(
            v_account, (ducto.read_terms(v_account, null, v_now)).thresholds, v_now, false
        );
        perform ducto.save_account(v_account);
    end if;
    return ducto.team_object(v_team_id, v_now) || '{"replayed": false}';
end
$$;
comment on function public.ducto_create_team(text, numeric, text, text, text, jsonb) is
    'Creates a team: an account that its members'' usage is charged to, with ducto_deduct_team. '
    'p_initial_balance: granted at once. p_team_id: its id, which may be no user''s; null: one is '
    'made up. p_owner_id: its first member. p_metadata: of the team. Errors: DU007, DU017. '
    'Callers: service, admin. Idempotent by p_idempotency_key.';

-- The entry that a grant, refund or revocation has already written under its key; null: the key is
-- new. Raises DU007 where the key stands for anything else, a hold included.
create or replace function ducto.find_keyed(
    p_account ducto.account,
    p_idempotency_key text,
    p_fingerprint bytea
)
returns ducto.entry
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry ducto.entry;
    v_conflict jsonb;
begin
    if p_idempotency_key is null then
        return null;
    end if;
    -- The first key from here on: in this order only the index of keys has them, so that an empty
    -- table's statistics cannot choose the other one.
    select t.* into v_entry from ducto.credit_transactions t
    where t.account_id = p_account.account_id and t.idempotency_key >= p_idempotency_key
    order by t.idempotency_key
    limit 1;
    if (v_entry.idempotency_key = p_idempotency_key) is not true then
        v_entry := null;
        v_conflict := ducto.check_hold_key(p_account.account_id, p_idempotency_key, null);
    elsif v_entry.fingerprint is distinct from p_fingerprint then
        v_conflict := ducto.key_conflict(p_account.account_id, p_idempotency_key, v_entry.id);
    end if;
    if v_conflict is not null then
        perform ducto.raise_error('DU007', v_conflict);
    end if;
    return v_entry;
end
$$;
comment on function ducto.find_keyed(ducto.account, text, bytea) is
    'Call it with the account locked.';

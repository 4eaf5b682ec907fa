-- The floor: the least a ledger can do for a charge and still be one. A balance that cannot go
-- below zero, an entry, a key that cannot be used twice; nothing is priced, nothing is explained.
create schema floor;

create table floor.balances (
    account_id text primary key,
    balance numeric(38, 12) not null
) with (fillfactor = 70);

create table floor.ledger (
    id bigint generated always as identity primary key,
    account_id text not null,
    amount numeric(38, 12) not null,
    balance_after numeric(38, 12) not null,
    idempotency_key text not null unique,
    created_at timestamptz not null default now()
);

create function floor.charge(p_account_id text, p_amount numeric, p_idempotency_key text)
returns numeric
language plpgsql
as $$
declare
    v_balance numeric;
begin
    update floor.balances b set balance = b.balance - p_amount
    where b.account_id = p_account_id and b.balance >= p_amount
    returning b.balance into v_balance;
    if not found then
        raise exception 'insufficient credits';
    end if;
    insert into floor.ledger (account_id, amount, balance_after, idempotency_key)
    values (p_account_id, -p_amount, v_balance, p_idempotency_key);
    return v_balance;
end
$$;

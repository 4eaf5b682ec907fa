-- The first lock of every operation but a charge within the headroom: one row, the account's,
-- created on first touch. What such charges have drawn is written to its lot and to the caps here,
-- and the headroom is closed, so that everything else sees lots and counters as they are. Who locks
-- an account goes on to write its row (ducto.save_account, ducto.open_headroom): a snapshot that is
-- too old then fails to serialise.
create or replace function ducto.lock_account(p_account_id text)
returns ducto.account
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
begin
    select a.* into v_account from ducto.credit_accounts a
    where a.account_id = p_account_id
    for no key update;
    if not found then
        return ducto.create_account(p_account_id);
    elsif v_account.headroom_until = '-infinity' then
        return v_account;
    end if;
    if v_account.drawn > 0 then
        update ducto.credit_lots l set
            remaining = l.remaining - v_account.drawn, live = l.remaining > v_account.drawn
        where l.account_id = p_account_id and l.lot_id = v_account.draw_lot;
        if v_account.has_caps and not v_account.draw_free then
            -- The headroom ends before a window does, so this is the window it was drawn in.
            update ducto.credit_spend_caps c set spent = c.spent + v_account.drawn
            where c.account_id = p_account_id
                and c.model = any (coalesce(v_account.headroom_models, '{""}'));
        end if;
    end if;
    update ducto.credit_accounts a set
        balance = a.balance - case when a.draw_free then 0 else a.drawn end,
        spent = a.spent + case when a.draw_free then 0 else a.drawn end,
        allowance = a.allowance - case when a.draw_free then a.drawn else 0 end,
        headroom_until = '-infinity',
        drawn = 0,
        headroom = 0
    where a.account_id = p_account_id
    returning a.* into v_account;
    return v_account;
end
$$;
comment on function ducto.lock_account(text) is
    'Locks, settles and returns the account, creating a user account on first touch.';

-- Writes down what has already stopped counting: lots past their expiry.
create or replace function ducto.book_expiry(
    p_account_id text,
    p_now timestamptz,
    out expired numeric,
    out lots integer
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_allocations jsonb;
begin
    -- An allowance is not part of the balance: its lapse is not a ledger entry.
    update ducto.credit_lots l set
        forfeited = l.forfeited + l.remaining, remaining = 0, live = false
    where l.account_id = p_account_id
        and l.live and l.expires_at <= p_now and l.kind = 'allowance';

    select
        jsonb_agg(
            jsonb_build_object('lot', l.lot_id, 'amount', -trim_scale(l.remaining))
            order by l.lot_id
        ),
        trim_scale(coalesce(sum(l.remaining), 0)),
        count(*)::integer
    into v_allocations, expired, lots
    from ducto.credit_lots l
    where l.account_id = p_account_id and l.live and l.expires_at <= p_now;
    if lots > 0 then
        perform ducto.apply_allocations(p_account_id, v_allocations, true);
        perform ducto.write_entry(p_account_id, 'expiry', -expired, v_allocations, p_now);
    end if;
end
$$;
comment on function ducto.book_expiry(text, timestamptz) is
    'Books the lapsed lots of the locked account as one entry: the credits that expired, of how '
    'many lots.';

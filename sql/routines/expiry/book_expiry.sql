-- Writes down what has already stopped counting: lots of the locked account past their expiry, as
-- one entry. An allowance is not part of the balance: its lapse is none.
create or replace function ducto.book_expiry(
    p_account ducto.account,
    p_now timestamptz
)
returns ducto.lapsed
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
    v_allowance numeric;
    v_expired numeric;
    v_lots integer;
    v_allocations jsonb;
begin
    with lapsed as materialized (
        select l.lot_id, l.free, l.remaining from ducto.credit_lots l
        where l.account_id = v.account_id and l.live and l.expires_at <= p_now
    ), closed as (
        update ducto.credit_lots l set
            forfeited = l.forfeited + l.remaining, remaining = 0, live = false
        from lapsed e
        where l.account_id = v.account_id and l.lot_id = e.lot_id
    )
    select coalesce(sum(e.remaining) filter (where e.free), 0),
        trim_scale(coalesce(sum(e.remaining) filter (where not e.free), 0)),
        (count(*) filter (where not e.free))::integer,
        jsonb_agg(
            jsonb_build_object('lot', e.lot_id, 'amount', -trim_scale(e.remaining))
            order by e.lot_id
        ) filter (where not e.free)
    into v_allowance, v_expired, v_lots, v_allocations
    from lapsed e;
    v.allowance := v.allowance - v_allowance;
    v.balance := v.balance - v_expired;
    if v_lots > 0 then
        perform ducto.write_entry(v, 'expiry', -v_expired, v_allocations, p_now);
    end if;
    return row(v, v_expired, v_lots)::ducto.lapsed;
end
$$;
comment on function ducto.book_expiry(ducto.account, timestamptz) is
    'The account, not yet saved; the credits that expired, of how many lots.';

-- Takes from lots of the locked account what was drawn, in one statement. The account's id comes
-- with each lot: so every lot is looked up by its key, where a plan that reads the account's lots
-- first would be quadratic whenever the statistics expect few of them.
create or replace function ducto.take_lots(
    p_account_id text,
    p_lots bigint[],
    p_takes numeric[],
    p_forfeit boolean default false
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_bitmapscan = off
set enable_material = off
set jit = off
as $$
begin
    update ducto.credit_lots l set
        remaining = l.remaining - d.take,
        live = l.remaining > d.take,
        forfeited = l.forfeited + case when p_forfeit then d.take else 0 end
    from (
        select p_account_id as account_id, u.lot_id, u.take
        from unnest(p_lots, p_takes) u (lot_id, take)
        offset 0
    ) d
    where l.account_id = d.account_id and l.lot_id = d.lot_id;
end
$$;
comment on function ducto.take_lots(text, bigint[], numeric[], boolean) is
    'p_forfeit: it leaves the lots unspent. A negative take gives back.';

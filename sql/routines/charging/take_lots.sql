-- Takes from lots of the locked account what was drawn, all of them at once.
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
set jit = off
as $$
begin
    update ducto.credit_lots l set
        remaining = l.remaining - d.take,
        live = l.remaining > d.take,
        forfeited = l.forfeited + case when p_forfeit then d.take else 0 end
    from unnest(p_lots, p_takes) d (lot_id, take)
    where l.account_id = p_account_id and l.lot_id = d.lot_id;
end
$$;
comment on function ducto.take_lots(text, bigint[], numeric[], boolean) is
    'p_forfeit: it leaves the lots unspent. A negative take gives back.';

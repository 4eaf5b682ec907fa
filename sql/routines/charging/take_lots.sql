-- Takes from lots of the locked account what was drawn, one look-up each: joined in one statement,
-- statistics that expect few lots of an account would make it quadratic.
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
set jit = off
as $$
begin
    for v_index in 1 .. coalesce(cardinality(p_lots), 0) loop
        update ducto.credit_lots l set
            remaining = l.remaining - p_takes[v_index],
            live = l.remaining > p_takes[v_index],
            forfeited = l.forfeited + case when p_forfeit then p_takes[v_index] else 0 end
        where l.account_id = p_account_id and l.lot_id = p_lots[v_index];
    end loop;
end
$$;
comment on function ducto.take_lots(text, bigint[], numeric[], boolean) is
    'p_forfeit: it leaves the lots unspent. A negative take gives back.';

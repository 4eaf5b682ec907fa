-- The order in which lots are consumed, the only place that knows it.
create or replace function ducto.consumption_order(p_lots ducto.lot[])
returns ducto.lot[]
language sql
immutable
security invoker
set search_path = ''
as $$
    select array(
        select l
        from unnest(p_lots) l
        order by
            (l).kind <> 'allowance',
            (l).priority,
            (l).expires_at nulls last,
            (l).category <> 'promotional',
            (l).created_at,
            (l).lot_id
    );
$$;
comment on function ducto.consumption_order(ducto.lot[]) is
    'Allowance first; then priority (lower first), soonest expiry (never last), promotional '
    'before paid, oldest first.';

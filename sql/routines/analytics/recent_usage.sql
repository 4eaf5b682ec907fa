-- The last charges of a window, newest first, by id: from ten minutes after ten minutes until there
-- are enough, and those that are not rolled up yet. More than were asked for; the caller cuts.
create or replace function ducto.recent_usage(
    p_start timestamptz,
    p_end timestamptz,
    p_limit integer,
    p_before ducto.usage_entry
)
returns setof bigint
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    v_slot timestamptz := timestamptz 'infinity';
    v_found integer;
begin
    return query
    select e.id
    from ducto.usage_tail() e
    where e.happened_at >= p_start and e.happened_at < p_end and e.charges > 0
        and (e.happened_at, e.id) < (p_before.happened_at, p_before.id) is not false
    order by e.happened_at desc, e.id desc
    limit p_limit;
    loop
        v_slot := (
            select max(p.slot_at) from ducto.credit_usage_places p
            where p.slot_at >= ducto.usage_slot(p_start) and p.slot_at < least(p_end, v_slot)
                and p.slot_at <= p_before.happened_at is not false
        );
        exit when v_slot is null;
        return query
        select e.id
        from ducto.usage_edges(
            greatest(v_slot, p_start), least(v_slot + interval '10 minutes', p_end)
        ) e
        where e.charges > 0
            and (e.happened_at, e.id) < (p_before.happened_at, p_before.id) is not false
        order by e.happened_at desc, e.id desc
        limit p_limit;
        get diagnostics v_found = row_count;
        p_limit := p_limit - v_found;
        exit when p_limit <= 0;
    end loop;
end
$$;

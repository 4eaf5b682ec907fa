-- The last charges of a window, newest first, by id: hour by hour until there are enough, and those
-- that are not rolled up yet. One row each of more than are asked for; the caller cuts.
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
    v_state ducto.credit_usage_state;
    v_hour timestamptz;
    v_found integer;
begin
    select s.* into v_state from ducto.credit_usage_state s;
    return query
    select e.id
    from ducto.usage_tail(v_state.settled_id) e
    where e.happened_at >= p_start and e.happened_at < p_end and e.charges > 0
        and (e.happened_at, e.id) < (p_before.happened_at, p_before.id) is not false
    order by e.happened_at desc, e.id desc
    limit p_limit;
    for v_hour in
        select distinct p.hour_at from ducto.credit_usage_places p
        where p.hour_at >= ducto.usage_span(1, p_start) and p.hour_at < p_end
            and p.hour_at <= p_before.happened_at is not false
        order by p.hour_at desc
    loop
        return query
        select e.id
        from ducto.usage_edges(
            v_state, greatest(v_hour, p_start), least(v_hour + interval '1 hour', p_end)
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

-- Leases the dead letters that somebody wants tried again, and says how many that are.
create or replace function ducto.poll_dead_letters(
    p_consumer text,
    p_limit integer,
    p_batch bigint,
    p_lease_seconds integer
)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := ducto.now();
    v_count integer;
begin
    with due as (
        select d.event_id
        from ducto.event_dead_letters d
        where d.consumer = p_consumer
            and d.retried_at is not null
            and (d.leased_until is null or d.leased_until <= v_now)
        order by d.event_id
        limit p_limit
        for no key update skip locked
    )
    update ducto.event_dead_letters d set
        batch = p_batch,
        leased_until = v_now + make_interval(secs => p_lease_seconds)
    from due
    where d.consumer = p_consumer and d.event_id = due.event_id;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

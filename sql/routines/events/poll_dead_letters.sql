-- Dead letters that somebody wants tried again, as events of a batch.
create or replace function ducto.poll_dead_letters(
    p_consumer text,
    p_limit integer,
    p_batch bigint,
    p_lease_seconds integer
)
returns ducto.event[]
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    with due as (
        select d.event_id
        from ducto.event_dead_letters d
        where d.consumer = p_consumer
            and d.retried_at is not null
            and (d.leased_until is null or d.leased_until <= ducto.now())
        order by d.event_id
        limit p_limit
        for no key update skip locked
    ), leased as (
        update ducto.event_dead_letters d set
            batch = p_batch,
            leased_until = ducto.now() + make_interval(secs => p_lease_seconds)
        from due
        where d.consumer = p_consumer and d.event_id = due.event_id
        returning d.event
    )
    select coalesce(array_agg(l.event), '{}') from leased l;
$$;

create or replace function public.ducto_list_consumers()
returns table (
    consumer text,
    lanes integer,
    leased integer,
    behind bigint,
    dead_letters bigint,
    handed_at timestamptz,
    created_at timestamptz
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        c.consumer, max(c.lanes), count(*) filter (where c.leased_until > ducto.now())::integer,
        max(ducto.last_event_id() - case when c.reading is null then c.top_id else c.acked_id end),
        (select count(*) from ducto.event_dead_letters d where d.consumer = c.consumer),
        max(c.handed_at), min(c.created_at)
    from ducto.event_cursors c
    group by c.consumer
    order by c.consumer;
$$;
comment on function public.ducto_list_consumers() is
    'The consumers of events. leased: lanes that somebody is working on; behind: how many ids have '
    'been drawn since what was acknowledged, events of any type and none. Callers: service, admin, '
    'reader.';

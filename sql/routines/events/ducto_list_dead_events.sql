create or replace function public.ducto_list_dead_events(
    p_consumer text default null,
    p_limit integer default 100
)
returns table (
    consumer text,
    event_id bigint,
    type text,
    user_id text,
    team_id text,
    occurred_at timestamptz,
    data jsonb,
    error text,
    attempts integer,
    failed_at timestamptz,
    retrying boolean
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ducto.check_poll(p_limit, 1);
    return query
    select
        d.consumer, d.event_id, (d.event).type, (d.event).user_id, (d.event).team_id,
        (d.event).occurred_at, (d.event).data, d.error, d.attempts, d.failed_at,
        d.retried_at is not null
    from ducto.event_dead_letters d
    where p_consumer is null or d.consumer = p_consumer
    order by d.failed_at desc, d.event_id desc
    limit p_limit;
end
$$;
comment on function public.ducto_list_dead_events(text, integer) is
    'The events that a consumer (null: any) gave up on, the last first. Errors: DU017. Callers: '
    'service, admin.';

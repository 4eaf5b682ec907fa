create or replace function public.ducto_prune_events(p_limit integer default 500000)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
    v_cluster bigint := ducto.cluster_id();
    v_days integer := coalesce(
        (select s.value::integer from ducto.settings s where s.key = 'event_retention_days'), 30
    );
    v_count bigint;
begin
    if (p_limit >= 1) is not true then
        perform ducto.raise_error('DU017', ducto.invalid('p_limit', 'The limit is at least 1.'));
    end if;
    -- What `ducto events tail` left behind when it was killed.
    delete from ducto.event_cursors c
    where starts_with(c.consumer, 'tail-')
        and coalesce(c.handed_at, c.created_at) < v_now - interval '24 hours';
    with passed as (
        select e.account_id, e.id
        from ducto.credit_events e
        where e.created_at < v_now - make_interval(hours => 24 * v_days)
            and not exists (
                select
                from ducto.event_cursors c
                where c.cluster <> v_cluster or not pg_visible_in_snapshot(e.xid, c.seen)
            )
        order by e.id
        limit p_limit
    )
    delete from ducto.credit_events e
    using passed p
    where e.account_id = p.account_id and e.id = p.id;
    get diagnostics v_count = row_count;
    return jsonb_build_object('deleted', v_count);
end
$$;
comment on function public.ducto_prune_events(integer) is
    'Deletes events, at most p_limit of them, that every consumer has acknowledged and that are '
    'older than the setting event_retention_days (30 unless set). The ledger is kept for ever, and '
    'so are the events that it tells. Run it from pg_cron. Errors: DU017. Callers: service, admin.';

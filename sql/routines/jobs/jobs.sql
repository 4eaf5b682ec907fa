-- The jobs and when they run unless an administrator says otherwise. Each may run at any time, any
-- number of times at once.
create or replace function ducto.jobs()
returns table (job text, schedule text, function text, purpose text)
language sql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    values
        (
            'ducto-sweep', '*/5 * * * *', 'ducto_sweep_expired_credits',
            'books credits that have lapsed'
        ),
        (
            'ducto-holds', '* * * * *', 'ducto_expire_reservations',
            'closes holds past their deadline'
        ),
        ('ducto-rollup', '*/5 * * * *', 'ducto_rollup_usage', 'sums usage up for the reports'),
        (
            'ducto-events', '17 * * * *', 'ducto_prune_events',
            'deletes old events that every consumer has acknowledged'
        );
$$;

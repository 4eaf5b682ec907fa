-- An event that no ledger row tells; it exists if and only if its transaction commits.
create or replace function ducto.write_event(
    p_account_id text,
    p_actor_id text,
    p_type text,
    p_now timestamptz,
    p_data jsonb
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Before the id is drawn: readers rely on a younger transaction never drawing an older id.
    perform pg_current_xact_id();
    -- Only for what is rare, because commits that notify wait for one another; and not where a
    -- transaction might be prepared, because one that notifies cannot be.
    if p_type in ('credits.low_balance', 'credits.plan_changed', 'credits.unbilled_usage')
        and current_setting('max_prepared_transactions') = '0'
    then
        perform pg_notify('ducto_events', p_type);
    end if;
    insert into ducto.credit_events (account_id, actor_id, type, data, created_at)
    values (p_account_id, p_actor_id, p_type, p_data, p_now);
end
$$;

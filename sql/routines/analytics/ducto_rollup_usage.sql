create or replace function public.ducto_rollup_usage(p_limit integer default 1000000)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state ducto.credit_usage_state;
    v_last bigint;
    v_to bigint;
    v_writers text[];
    v_rolled record;
begin
    if coalesce(p_limit, 0) not between 1 and 10000000 then
        perform ducto.raise_error(
            'DU017', ducto.invalid('p_limit', 'The limit is 1 to 10000000.')
        );
    elsif current_setting('transaction_isolation') <> 'read committed' then
        perform ducto.raise_error('DU017', ducto.invalid(
            'transaction_isolation', 'Rolling up needs to see what others commit: READ COMMITTED.'
        ));
    end if;
    insert into ducto.credit_usage_state default values on conflict do nothing;
    select s.* into v_state from ducto.credit_usage_state s for update;
    -- The order is what makes it safe. An id up to v_last was drawn by a transaction that has
    -- ended, and its entry is seen below, or that is among the writers; ids drawn later are higher.
    v_last := coalesce(pg_sequence_last_value(
        pg_get_serial_sequence('ducto.credit_transactions', 'id')::regclass
    ), 0);
    v_to := least(v_last, v_state.scanned_id + p_limit);
    v_writers := ducto.ledger_writers();
    v_rolled := ducto.roll_up(v_state.settled_id, v_to);
    if not (v_state.mark_writers || 'prepared'::text) && v_writers then
        v_state.settled_id := v_state.mark_id;
        v_state.mark_id := v_to;
        v_state.mark_writers := v_writers;
    end if;
    if v_writers = '{}' then
        v_state.settled_id := v_to;
    end if;
    update ducto.credit_usage_state s set
        settled_id = v_state.settled_id,
        scanned_id = v_to,
        mark_id = v_state.mark_id,
        mark_writers = v_state.mark_writers,
        first_at = least(s.first_at, v_rolled.first_at),
        last_at = greatest(s.last_at, v_rolled.last_at),
        rolled_up_at = case when v_to = v_last then ducto.now() else s.rolled_up_at end;
    return jsonb_build_object('entries', v_rolled.entries, 'complete', v_to = v_last);
end
$$;
comment on function public.ducto_rollup_usage(integer) is
    'Adds to the analytics rollup what the ledger has since the last call; reports are exact with '
    'or without it, and fast with it. Looks at p_limit entries at most: call it again until '
    'complete is true. Charges do not wait for it; two calls take turns. Errors: DU017. '
    'Callers: service, admin. Repeatable: an entry is added once.';

-- How a charge ends for its caller: its result is returned, an error is raised, a denial is raised
-- or recorded as an event and returned.
create or replace function ducto.finish(
    p_result jsonb,
    p_account_id text,
    p_actor_id text,
    p_raise boolean
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_result ->> 'status' = 'ok' then
        return p_result;
    end if;
    if p_result ->> 'status' = 'error' or p_raise is distinct from false then
        perform ducto.raise_error(p_result ->> 'code', p_result);
    end if;
    perform ducto.write_event(
        p_account_id,
        p_actor_id,
        case p_result ->> 'code'
            when 'DU001' then 'credits.cap_reached'
            when 'DU011' then 'credits.unbilled_usage'
            else 'credits.deduct_failed'
        end,
        ducto.now(),
        p_result - 'status' - 'hint'
    );
    return p_result;
end
$$;

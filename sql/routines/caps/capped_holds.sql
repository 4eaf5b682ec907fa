-- The room that the open holds of an account take in a cap on a model (empty: every charge).
create or replace function ducto.capped_holds(
    p_account_id text,
    p_model text,
    p_now timestamptz default null,
    p_actor_id text default null
)
returns numeric
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((
        select sum(r.capped) from ducto.credit_reservations r
        where r.account_id = p_account_id and r.status = 'active' and r.counted
            and (p_now is null or r.expires_at <= p_now)
            and (p_actor_id is null or r.actor_id = p_actor_id)
            and (p_model = '' or p_model = any (
                ducto.cap_models(r.pricing_version, r.plan_key, r.model)
            ))
    ), 0);
end
$$;
comment on function ducto.capped_holds(text, text, timestamptz, text) is
    'p_now: only those that have lapsed by then and are not yet booked; p_actor_id: only those of '
    'this user. Never on a charge''s path.';

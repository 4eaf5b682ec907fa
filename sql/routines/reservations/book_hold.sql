-- What a hold leaves behind beside its own row: the room in the caps, events, and the account's row
-- with its headroom open again.
create or replace function ducto.book_hold(
    p_account ducto.account,
    p_hold ducto.reservation,
    p_terms ducto.terms,
    p_models text[],
    p_events jsonb,
    p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v ducto.account := p_account;
begin
    v.held := v.held + p_hold.held;
    v.stale_at := least(v.stale_at, p_hold.expires_at);
    perform ducto.check_sums(v);
    if p_hold.capped > 0 and v.has_caps then
        update ducto.credit_spend_caps c set held = c.held + p_hold.capped
        where c.account_id = v.account_id and c.model = any (p_models);
    end if;
    if p_hold.capped > 0 and v.kind = 'team' then
        perform ducto.hold_member(v.account_id, p_hold.actor_id, p_hold.capped);
    end if;
    if p_events is not null then
        perform ducto.write_event(
            v.account_id, p_hold.actor_id, e ->> 'type', p_now, e -> 'data'
        ) from jsonb_array_elements(p_events) e;
    end if;
    perform ducto.write_event(
        v.account_id, p_hold.actor_id, 'credits.reserved', p_now, jsonb_build_object(
            'reservation_id', p_hold.reservation_id,
            'amount', trim_scale(p_hold.amount),
            'expires_at', p_hold.expires_at
        )
    );
    perform ducto.open_headroom(v, p_terms, p_models, p_now);
end
$$;

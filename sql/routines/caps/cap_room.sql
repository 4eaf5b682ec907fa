-- What may leave the balance before any cap of the locked account on p_models has something to say,
-- and until when that holds; by_model: whether charges of other models meet other caps.
create or replace function ducto.cap_room(
    p_account_id text,
    p_models text[],
    p_now timestamptz,
    out room numeric,
    out window_end timestamptz,
    out by_model boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    select min(case
            when c.model <> all (p_models) then null
            when c.spent + c.held <= c.amount_limit then c.amount_limit - c.spent - c.held
            when c.action = 'notify' then null
            else 0
        end), min(c.window_end), bool_or(c.model <> '')
    into room, window_end, by_model
    from ducto.credit_spend_caps c
    where c.account_id = p_account_id;
    if window_end <= p_now then
        -- What is drawn is counted later, in the window that then stands there.
        perform ducto.count_caps(p_account_id, array(
            select c.model from ducto.credit_spend_caps c where c.account_id = p_account_id
        ), 0, p_now);
        select c.room, c.window_end into room, window_end
        from ducto.cap_room(p_account_id, p_models, p_now) c;
    end if;
end
$$;

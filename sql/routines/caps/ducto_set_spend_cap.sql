create or replace function public.ducto_set_spend_cap(
    p_user_id text,
    p_cap_type text,
    p_limit numeric,
    p_action text default 'deny',
    p_model text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account;
    v_now timestamptz;
    v_cap ducto.cap;
    v_window record;
    v_failure jsonb := coalesce(
        ducto.check_arguments(p_user_id, null, null, null),
        ducto.check_amount('p_limit', p_limit),
        ducto.check_cap(p_cap_type, p_action, p_model)
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_account := ducto.lock_account(p_user_id);
    v_now := ducto.now();
    v_window := ducto.period(p_cap_type, v_now);
    insert into ducto.credit_spend_caps as c (
        account_id, cap_type, model, amount_limit, action, window_start, window_end, spent, held,
        created_at
    ) values (
        p_user_id, p_cap_type, coalesce(p_model, ''), p_limit, p_action, v_window.period_start,
        v_window.period_end,
        -- Once, when the cap is set: what the window has seen so far, and what holds take.
        ducto.spent_since(p_user_id, coalesce(p_model, ''), v_window.period_start),
        ducto.capped_holds(p_user_id, coalesce(p_model, '')), v_now
    )
    on conflict (account_id, cap_type, model) do update set
        amount_limit = excluded.amount_limit,
        action = excluded.action,
        window_start = excluded.window_start,
        window_end = excluded.window_end,
        spent = excluded.spent,
        held = excluded.held
    returning c.* into v_cap;
    v_cap.held := v_cap.held - ducto.capped_holds(p_user_id, v_cap.model, v_now);
    v_account.has_caps := true;
    perform ducto.save_account(v_account);
    return ducto.cap_state(v_cap, v_now);
end
$$;
comment on function public.ducto_set_spend_cap(text, text, numeric, text, text) is
    'Caps what may leave a user''s balance in a UTC window: p_cap_type daily, weekly (from '
    'Monday) or monthly; p_model: only charges priced as this model. What the window has already '
    'seen counts, and what open holds take; the free allowance does not. p_action: deny refuses '
    'the charge, warn adds a warning to its result, notify only writes an event. Setting it again '
    'replaces it. Errors: DU017. Callers: service, admin. Idempotent.';

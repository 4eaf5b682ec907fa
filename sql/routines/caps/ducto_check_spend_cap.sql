create or replace function public.ducto_check_spend_cap(
    p_user_id text,
    p_amount numeric default 0,
    p_model text default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
    v_account ducto.account := ducto.find_account(p_user_id);
    v_terms ducto.terms := ducto.read_terms(v_account, null, v_now);
    v_caps jsonb;
    v_failure jsonb := coalesce(
        ducto.check_amount('p_amount', p_amount), ducto.check_cap('daily', 'deny', p_model)
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_caps := ducto.cap_states(
        p_user_id, ducto.cap_models(v_terms.version, v_terms.plan_key, p_model), p_amount, v_now
    );
    return jsonb_build_object(
        'user_id', p_user_id,
        'allowed', not v_caps @> '[{"action": "deny", "exceeded": true}]',
        'caps', v_caps
    );
end
$$;
comment on function public.ducto_check_spend_cap(text, numeric, text) is
    'Whether the caps would let p_amount more leave the balance, with the state of every cap that '
    'covers p_model. Errors: DU017. Callers: service, admin, reader.';

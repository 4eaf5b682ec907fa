create or replace function public.ducto_quote(
    p_user_id text,
    p_metrics jsonb,
    p_team_id text default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
    v_account ducto.account;
    v_terms ducto.terms;
    v_due ducto.lot[];
    v_price jsonb;
    v ducto.draft;
    v_models text[];
    v_failure jsonb := ducto.check_arguments(p_user_id, null, null, coalesce(p_metrics, 'null'));
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    if p_team_id is not null then
        perform ducto.find_team_member(p_team_id, p_user_id);
    end if;
    v_account := ducto.find_account(coalesce(p_team_id, p_user_id));
    v_terms := ducto.read_terms(v_account, p_metrics ->> 'operation', v_now);
    v_due := ducto.lots_to_come(v_account, v_terms, v_now);
    v_price := ducto.draft_price(
        p_metrics, null, nullif(v_terms.version, 0), v_terms.plan_key
    );
    if v_price ? 'code' then
        v_failure := ducto.failure('error', v_price ->> 'code', v_price -> 'detail');
        perform ducto.raise_error(v_price ->> 'code', v_failure);
    end if;
    v := ducto.draw(v_account, (v_price -> 'cost')::numeric, v_now, true, v_due);
    v.warnings := nullif(v_price -> 'warnings', '[]');
    v_account := ducto.foresee(v_account, v_terms, v_now);
    v_account.balance := v_account.balance + coalesce((
        select sum(d.remaining) from unnest(v_due) d where d.kind = 'signup_bonus'
    ), 0);
    v_models := ducto.cap_models(v_terms.version, v_terms.plan_key, p_metrics ->> 'model');
    v := ducto.decide(v, v_account, p_user_id, v_terms, v_models, v.amount, v_now);
    if v.failure ->> 'status' = 'error' then
        perform ducto.raise_error(v.failure ->> 'code', v.failure);
    end if;
    return ducto.quote_result(
        p_user_id, p_team_id, v, v_price, v_account, v_terms,
        ducto.cap_states(v_account.account_id, v_models, v.amount, v_now)
            || ducto.member_caps(v_account, p_user_id, v.amount, v_now)
    );
end
$$;
comment on function public.ducto_quote(text, jsonb, text) is
    'What ducto_deduct would do with p_metrics, by the same code, writing nothing: price, '
    'allowance part, the lots it would draw on (lot null: an allowance that is due), cap '
    'headroom, balance after; or affordable false with the code, error and message of the denial. '
    'p_team_id: paid by the team. Errors: DU003, DU004, DU015, DU016, DU017, DU018, DU022. '
    'Callers: service, admin, reader.';

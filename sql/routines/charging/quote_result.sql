-- A quote as callers see it: a charge's keys, without a transaction, and whether it would happen.
create or replace function ducto.quote_result(
    p_user_id text,
    p_team_id text,
    p_draft ducto.draft,
    p_price jsonb,
    p_account ducto.account,
    p_terms ducto.terms,
    p_caps jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object(
        'user_id', p_user_id,
        'team_id', p_team_id,
        'model', p_price -> 'model',
        'cost', trim_scale(p_draft.cost),
        'allowance_consumed', trim_scale(p_draft.free),
        'amount', trim_scale(p_draft.amount),
        'balance_after', trim_scale(p_account.balance - p_draft.amount),
        'available_after', trim_scale(
            p_account.balance + p_account.allowance - p_account.held - p_draft.cost
        ),
        'pricing_version', nullif(p_terms.version, 0),
        'breakdown', p_price -> 'breakdown',
        'allocations', ducto.allocations(p_draft.lots, p_draft.takes, p_draft.debt),
        'caps', p_caps,
        'warnings', coalesce(p_draft.warnings, '[]'),
        'affordable', p_draft.failure is null,
        'status', coalesce(p_draft.failure ->> 'status', 'ok'),
        'code', p_draft.failure -> 'code',
        'error', p_draft.failure -> 'error',
        'message', p_draft.failure -> 'message'
    );
end
$$;
comment on function ducto.quote_result(
    text, text, ducto.draft, jsonb, ducto.account, ducto.terms, jsonb
) is
    'p_account: as ducto.foresee returns it, before the charge.';

-- A valid grant, or a negative adjustment, to a locked account.
create or replace function ducto.add_credits(
    p_account ducto.account,
    p_amount numeric,
    p_type text,
    p_expires_at timestamptz,
    p_priority integer,
    p_idempotency_key text,
    p_metadata jsonb,
    p_category text
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account ducto.account := p_account;
    v_terms ducto.terms;
    v_now timestamptz;
    v_fingerprint bytea;
    v_entry ducto.entry;
    v_granted ducto.granted;
begin
    if p_idempotency_key is not null then
        v_fingerprint := ducto.fingerprint(
            'add_credits', p_account.account_id, p_type, trim_scale(p_amount)::text
        );
    end if;
    v_entry := ducto.find_grant(v_account, p_amount, p_type, p_idempotency_key, v_fingerprint);
    if v_entry.id is not null then
        return ducto.grant_result(v_entry, true);
    end if;
    -- Only now: a grant that has expired since still replays.
    v_now := ducto.now();
    if p_expires_at <= v_now then
        perform ducto.raise_error('DU017', ducto.invalid(
            'p_expires_at', 'The expiry lies in the past.'
        ));
    end if;
    v_terms := ducto.read_terms(v_account, null, v_now);
    v_account := ducto.bring_up_to_date(v_account, v_terms, v_now);
    if p_amount < 0 then
        v_granted := ducto.take_back(
            v_account, v_terms, v_now, -p_amount, p_idempotency_key, v_fingerprint, p_metadata
        );
    else
        v_granted := ducto.grant_credits(
            v_account, v_now, p_amount, p_type, p_category, p_expires_at, p_priority,
            p_idempotency_key, v_fingerprint, p_metadata
        );
    end if;
    v_account := v_granted.account;
    v_account.alerted_below := ducto.check_thresholds(
        v_account, v_terms.thresholds, v_now, p_amount < 0
    );
    -- A charge is likely to follow: it finds the headroom open.
    perform ducto.open_headroom(v_account, v_terms, '{""}', v_now);
    return ducto.grant_result(v_granted.entry, false);
end
$$;
comment on function ducto.add_credits(
    ducto.account, numeric, text, timestamptz, integer, text, jsonb, text
) is
    'The result of ducto_add_credits; its arguments have passed ducto.check_grant.';

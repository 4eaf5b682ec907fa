-- The state of every cap that a charge of p_model would meet, the tightest first.
create or replace function ducto.cap_states(
    p_account_id text,
    p_model text,
    p_amount numeric,
    p_now timestamptz
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((
        select jsonb_agg(
            s.state || jsonb_build_object(
                'exceeded', p_amount > 0 and (s.state -> 'remaining')::numeric < p_amount
            )
            order by (s.state -> 'remaining')::numeric
        )
        from ducto.credit_spend_caps c
        cross join lateral ducto.cap_state(c, p_now) as s (state)
        where c.account_id = p_account_id and c.model in ('', p_model)
    ), '[]');
end
$$;

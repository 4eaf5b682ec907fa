-- The state of every cap on one of p_models, the tightest first.
create or replace function ducto.cap_states(
    p_account_id text,
    p_models text[],
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
        from ducto.find_caps(p_account_id, p_now) c
        cross join lateral ducto.cap_state(c, p_now) as s (state)
        where c.model = any (p_models)
    ), '[]');
end
$$;

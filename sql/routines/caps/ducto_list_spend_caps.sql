create or replace function public.ducto_list_spend_caps(p_user_id text)
returns table (
    cap_type text,
    model text,
    amount_limit numeric,
    used numeric,
    remaining numeric,
    action text,
    resets_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := ducto.now();
begin
    return query
    select
        s.state ->> 'cap_type', s.state ->> 'model', (s.state ->> 'limit')::numeric,
        (s.state ->> 'used')::numeric, (s.state ->> 'remaining')::numeric, s.state ->> 'action',
        (s.state ->> 'resets_at')::timestamptz
    from ducto.find_caps(p_user_id, v_now) c
    cross join lateral ducto.cap_state(c, v_now) as s (state)
    order by array_position('{daily,weekly,monthly}', c.cap_type), c.model;
end
$$;
comment on function public.ducto_list_spend_caps(text) is
    'The caps of a user with what their current windows have used (model null: every charge). '
    'Errors: DU017. Callers: service, admin, reader.';

-- Sums the user's own entries; what teams paid for them is the teams'. A refund counts on its day.
create or replace function public.ducto_my_usage(
    p_start timestamptz default null,
    p_end timestamptz default null
)
returns table (
    day date,
    model text,
    spent numeric,
    allowance_consumed numeric,
    charges bigint,
    input_tokens numeric,
    output_tokens numeric
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id text := ducto.signed_in_user();
    -- The end is exclusive, and what happens now counts.
    v_end timestamptz := coalesce(p_end, ducto.now() + interval '1 microsecond');
    -- By default thirty days of UTC, today included.
    v_start timestamptz := coalesce(
        p_start,
        (date_trunc('day', greatest(v_end, '2000-01-01 00:00+00') at time zone 'UTC')
            - interval '29 days') at time zone 'UTC'
    );
begin
    if v_start >= v_end then
        perform ducto.raise_error(
            'DU017', ducto.invalid('p_start', 'The window must begin before it ends.')
        );
    end if;
    return query
    select
        (t.created_at at time zone 'UTC')::date as day,
        coalesce(t.model, ''),
        trim_scale(-sum(t.amount)),
        trim_scale(sum(t.allowance_consumed)),
        count(*) filter (where t.type = 'usage'),
        coalesce(sum(
            case jsonb_typeof(t.metrics -> 'input_tokens')
                when 'number' then (t.metrics -> 'input_tokens')::numeric
            end
        ), 0),
        coalesce(sum(
            case jsonb_typeof(t.metrics -> 'output_tokens')
                when 'number' then (t.metrics -> 'output_tokens')::numeric
            end
        ), 0)
    from ducto.credit_transactions t
    where t.account_id = v_user_id
        and t.type in ('usage', 'refund')
        and t.created_at >= v_start
        and t.created_at < v_end
    group by 1, 2
    order by 1 desc, 2;
end
$$;
comment on function public.ducto_my_usage(timestamptz, timestamptz) is
    'What the signed-in user spent per UTC day and model (empty: none), newest first; refunds '
    'lower it. p_start: null for the 30 days up to the end; p_end: exclusive, null for now. What '
    'a team paid is not in it. The user is taken from the verified token. Errors: DU017, DU023. '
    'Callers: authenticated.';

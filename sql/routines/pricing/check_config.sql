-- The shape of a config that a client has validated and compiled: everything the server goes on to
-- read from it. Returns [{path, message, code}]. The client's validation says more (nearest names,
-- positions); this one makes sure that nothing depends on the client having done it.
create or replace function ducto.check_config(p_config jsonb)
returns jsonb
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_errors jsonb;
begin
    select jsonb_agg(
        jsonb_build_object('path', e.path, 'message', e.message, 'code', 'DU006')
        order by e.path
    )
    into v_errors
    from (
        select p.path, p.message
        from ducto.setting_problems('', p_config, '{
            "version": "version", "description": "text", "models": "rates", "tools": "rates",
            "search": "rates", "cache": "rates", "fixed": "rates", "min_balance": "money",
            "plans": "plans", "metrics": "metrics", "scale": "scale",
            "rounding": "half_up|half_even|ceiling", "low_balance_thresholds": "balances",
            "signup_bonus": "positive"
        }') p
        union all
        select 'models', '''models'' must have at least one model'
        where coalesce(p_config -> 'models', '{}') = '{}'
        union all
        select p.path, p.message from ducto.plan_problems(p_config) p
        union all
        select r.path, 'must be a text or a number, under a name of 1 to 200 characters'
        from ducto.config_rates(p_config) r
        where r.expression is null or length(r.key) not between 1 and 200
            or length(r.expression) > 2000
    ) e;
    return coalesce(v_errors, '[]');
end
$$;
comment on function ducto.check_config(jsonb) is
    'What is wrong with the shape of a pricing config.';

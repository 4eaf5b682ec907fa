-- The portable evaluator: prices a usage with stored programs, without PL/Python. Here is the short
-- way, for what most usages are: numbers of standard metrics, a model that has a price, nothing
-- else to price. Everything else, and every refusal, is ducto.price_in_full's.
create or replace function ducto.price_portable(
    p_version integer,
    p_plan_key text,
    p_metrics jsonb
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_numbers jsonb;
    v_rate record;
    v_price numeric;
    v_cost numeric;
begin
    select r.plain_scale, r.plain_except, r.code, r.constants, r.names, r.factors into v_rate
    from ducto.credit_rates r
    where r.version = p_version and r.plan_key = '' and r.section = 'models'
        and r.key = p_metrics ->> 'model';
    if not found then
        -- Mostly the key right below is the prefix that ducto.longest_prefix would find.
        select
            case when starts_with(p_metrics ->> 'model', r.key) then r.plain_scale end
                as plain_scale,
            r.plain_except, r.code, r.constants, r.names, r.factors
        into v_rate
        from ducto.credit_rates r
        where r.version = p_version and r.plan_key = '' and r.section = 'models'
            and r.key < p_metrics ->> 'model' and r.key <> '_default'
            and length(p_metrics ->> 'model') <= 200
        order by r.key desc
        limit 1;
    end if;
    if v_rate.plain_scale is null or p_plan_key = any (v_rate.plain_except)
        or jsonb_typeof(p_metrics -> 'model') <> 'string'
    then
        return ducto.price_in_full(p_version, p_plan_key, p_metrics);
    end if;
    v_numbers := p_metrics - '{model,operation}'::text[];
    if v_numbers::text like '%.%' and v_numbers::text ~ '[.][0-9]{41}'
        or v_numbers - '{
            input_tokens,output_tokens,total_tokens,reasoning_tokens,cached_tokens,
            cache_read_tokens,cache_write_tokens,cache_creation_tokens,cache_hits,cache_misses,
            search_calls,search_queries,search_results,web_search_calls,code_exec_calls,requests
        }'::text[] <> '{}'
        or jsonb_typeof(p_metrics -> 'operation') <> 'string'
        or length(p_metrics ->> 'operation') not between 1 and 200
        or v_numbers @? 'strict $.* ? (@.type() != "number" || @ < 0
            || @ > 100000000000000000000000000)'
    then
        return ducto.price_in_full(p_version, p_plan_key, p_metrics);
    end if;
    if v_rate.factors is not null then
        -- A sum of products of a metric and a constant needs no machine: none of them is negative,
        -- so that only the sum can be too large.
        v_price := case v_rate.code
            when '{2,1,1,1,5,0}' then
                coalesce((v_numbers -> v_rate.names[1])::numeric, 0) * v_rate.constants[1]
            when '{2,1,1,1,5,0,2,2,1,2,5,0,3,0}' then
                coalesce((v_numbers -> v_rate.names[1])::numeric, 0) * v_rate.constants[1]
                + coalesce((v_numbers -> v_rate.names[2])::numeric, 0) * v_rate.constants[2]
            when '{2,1,1,1,5,0,2,2,1,2,5,0,3,0,2,3,1,3,5,0,3,0}' then
                coalesce((v_numbers -> v_rate.names[1])::numeric, 0) * v_rate.constants[1]
                + coalesce((v_numbers -> v_rate.names[2])::numeric, 0) * v_rate.constants[2]
                + coalesce((v_numbers -> v_rate.names[3])::numeric, 0) * v_rate.constants[3]
            end;
    end if;
    if v_price is null then
        v_price := (
            ducto.run_program(v_rate.code, v_rate.constants, v_rate.names, v_numbers)
        ).value;
    end if;
    v_cost := round(v_price, v_rate.plain_scale);
    if v_price between 0.0 and 1e26 and v_cost < 1e26 then
        return concat(
            '{"model":', p_metrics -> 'model', ',"warnings":[],"cost":', trim_scale(v_cost),
            ',"breakdown":{"tools":0,"search":0,"cache":0,"fixed":0,"model":',
            trim_scale(v_price), ',"total":', trim_scale(v_cost), '}}'
        )::jsonb;
    end if;
    return ducto.price_in_full(p_version, p_plan_key, p_metrics);
end
$$;
comment on function ducto.price_portable(integer, text, jsonb) is
    'ducto.price_usage by the portable evaluator: the programs of the version, run in PL/pgSQL.';

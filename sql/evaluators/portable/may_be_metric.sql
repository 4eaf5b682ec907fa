-- Whether a name can be a metric: an identifier that is no function, no word of the language and
-- no other member of a usage.
create or replace function ducto.may_be_metric(p_name text)
returns boolean
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_name ~ '^[A-Za-z][A-Za-z0-9_]{0,62}$' and p_name <> all ('{
        ceil,floor,round,min,max,if,tier,clamp,percentile,graduated,model,operation,job_name,
        False,None,True,and,as,assert,async,await,break,class,continue,def,del,elif,else,except,
        finally,for,from,global,import,in,is,lambda,nonlocal,not,or,pass,raise,return,try,while,
        with,yield
    }'::text[]);
end
$$;
comment on function ducto.may_be_metric(text) is
    'Whether a pricing config may declare a metric of this name.';

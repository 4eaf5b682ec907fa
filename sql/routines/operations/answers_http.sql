-- Whether an error raised now goes straight to PostgREST, which then has to be told its status.
-- It does where a request for a function of the API is being answered and the outermost call on
-- the stack is one: had a function of the application's own been called, it would stand there, and
-- it may catch the error by its code. Such a function that catches none can ask for the status
-- with `set local ducto.http_errors = on`: as a clause of the function only a superuser may say it.
create or replace function ducto.answers_http(p_stack text)
returns boolean
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case
        when coalesce(current_setting('request.method', true), '') = '' then false
        when current_setting('ducto.http_errors', true) in ('on', 'true') then true
        else
            coalesce(current_setting('request.path', true), '') ~ '/rpc/ducto_[a-z_]+$'
            and substring(p_stack from '[^' || chr(10) || ']*$')
                ~ '[[:<:]]public[.]ducto_[a-z_]+[(]'
    end;
$$;
comment on function ducto.answers_http(text) is
    'Whether an error reaches PostgREST uncaught; p_stack: the call stack, outermost call last.';

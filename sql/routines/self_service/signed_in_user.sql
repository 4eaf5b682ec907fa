-- Who is calling, from the token's claims, which PostgREST has verified and put into the request:
-- the one source of the user in self-service, so that no argument can name another. An account of
-- a team is nobody's to sign in to, should a token's subject happen to be called like one.
create or replace function ducto.signed_in_user()
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id text;
begin
    begin
        v_user_id := current_setting('request.jwt.claims', true)::jsonb ->> 'sub';
    exception when data_exception or program_limit_exceeded then
        -- Without a request the setting is empty, or holds what somebody typed.
        null;
    end;
    if length(v_user_id) between 1 and 200 and not exists (
        select from ducto.credit_accounts a
        where a.account_id = v_user_id and a.kind <> 'user'
    ) then
        return v_user_id;
    end if;
    perform ducto.raise_error('DU023');
    return null;
end
$$;
comment on function ducto.signed_in_user() is
    'The `sub` of the request''s verified token; DU023 where there is none.';

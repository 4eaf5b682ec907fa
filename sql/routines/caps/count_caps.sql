-- Adds a charge to its caps' running totals (a refund: takes it out), starting new windows.
create or replace function ducto.count_caps(
    p_account_id text,
    p_model text,
    p_amount numeric,
    p_now timestamptz,
    p_lapsed boolean
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    if p_lapsed then
        update ducto.credit_spend_caps c set
            spent = 0,
            window_start = (ducto.period(c.cap_type, p_now)).period_start,
            window_end = (ducto.period(c.cap_type, p_now)).period_end
        where c.account_id = p_account_id and c.window_end <= p_now;
    end if;
    update ducto.credit_spend_caps c set spent = c.spent + p_amount
    where c.account_id = p_account_id and c.model in ('', p_model);
end
$$;
comment on function ducto.count_caps(text, text, numeric, timestamptz, boolean) is
    'Counts p_amount against the caps of the locked account that cover p_model; p_lapsed: windows '
    'that ended by p_now must start anew first.';

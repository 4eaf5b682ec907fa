-- The prices that a charge computes in its own statement: models of the active pricing whose
-- expression is a sum of products of metrics and constants, where nothing else prices the usage.
create or replace view ducto.linear_rates as
select c.version, r.key as model, r.names, r.factors, r.plain_scale, r.plain_except
from ducto.credit_pricing_config c
join ducto.credit_rates r
    on r.version = c.version and r.plan_key = '' and r.section = 'models'
where c.active and r.factors is not null and r.plain_scale is not null;
comment on view ducto.linear_rates is
    'Rates of models that a charge computes by itself.';

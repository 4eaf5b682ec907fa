select public.ducto_deduct_batch(b.charges) from bench.batches b
where b.id = (select nextval('bench.next_batch'));

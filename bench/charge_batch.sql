select public.ducto_deduct_batch(b.charges) from bench.batches b
where b.kind = :kind and b.id = (select nextval(cast('bench.next_' || :kind as regclass)));

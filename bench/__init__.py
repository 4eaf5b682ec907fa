"""The benchmark: what a charge costs, beside the least that any ledger must do. See README.md."""

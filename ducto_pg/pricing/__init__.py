"""Pricing offline: the engine, reading configs, converting published price lists."""

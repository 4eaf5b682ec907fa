"""Calling: the managers, the stores they call through, and the results they return."""

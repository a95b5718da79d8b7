"""The static-graph half of the toolkit; nothing imports it."""

"""Preparing published data sets: each script turns what is published into the layout that ``docs/data.md`` shows."""

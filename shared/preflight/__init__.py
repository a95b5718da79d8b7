"""Looking at the data of a run before its first step: all findings in one report, grouped by cause."""

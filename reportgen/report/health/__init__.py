"""Model health: checks over a whole report, each a sentence with its evidence; docs/health.md states every rule."""

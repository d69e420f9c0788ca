"""The worker: claims runs, keeps their bodies alive, runs step attempts, and appends to their logs."""

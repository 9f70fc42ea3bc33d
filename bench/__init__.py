"""Farvault beside restic, borg and rclone: the same bytes, the same machine, one run. `python -m bench --help`."""

"""Vercel: the data directory of its local world, read so that its runs can be looked at and queried here.

`reading` finds the files, `payloads` and `devalue` open values, `mapping` makes a run of ours of one of
theirs. Nothing is ever written into the directory.
"""

"""The attacks that a sandbox has to stand, one case each, for any machine and any backend.

Covers: programs that attack the limits, other processes, the machine, the next sample, the compiler
and our own parsers; each case says what it saw, and a harmless program runs in the same slot right
after it (`suite`). What needs a daemon that dies or a harness that is killed is in the test suite
alone: `elsewhere` names those tests. Nothing here is ever to be run without isolation.
"""

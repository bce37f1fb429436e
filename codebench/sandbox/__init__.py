"""Run programs that nobody trusts. Knows docker, bubblewrap and the protocol of the supervisor."""

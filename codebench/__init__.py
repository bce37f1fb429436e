"""codebench: does this checkpoint write code that compiles, and is it better than the last one?

The rooms and the way of the data between them are listed in README.md.
"""

__version__ = "0.1.0"
SCHEMA_VERSION = 2
"""Version of the shape of results.json and samples.jsonl."""

METRIC_VERSION = 2
"""Version of what the numbers mean; runs with unlike versions are not comparable."""

"""The export room: results in, files for other tools out. One module a format.

Every writer takes loaded results and returns the bytes of its file; `formats` names them all.
"""

FORMAT_NAMES = (
    "csv",
    "junit",
    "png",
    "svg",
    "predictions",
    "github",
    "readme",
    "hf-model-index",
    "hf-eval-results",
    "lm-eval",
)
"""The names of `formats.FORMATS`, for the command line's help, which imports nothing heavy."""

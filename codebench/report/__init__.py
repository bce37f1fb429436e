"""The report: results in, one HTML file out that opens from disk and loads nothing."""

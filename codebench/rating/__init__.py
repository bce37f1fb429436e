"""Ratings by people: which programs are shown, what is answered, how far raters agree."""

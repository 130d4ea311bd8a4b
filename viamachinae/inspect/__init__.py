"""From a finished scan to what its user takes home: tables, figures and one page."""

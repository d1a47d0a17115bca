"""From flights to outcomes, tables, films and a page."""

"""The table of units: columns, rows, and the widget that shows them."""

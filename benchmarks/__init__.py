"""What `make bench` runs: each module measures one thing, prints a table and writes a JSON."""

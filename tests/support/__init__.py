"""What several test modules share: commands as processes, small models and tables, tables that are flawed, records."""

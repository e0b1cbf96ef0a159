"""What people read: tables for the terminal and documented JSON, from the same values."""

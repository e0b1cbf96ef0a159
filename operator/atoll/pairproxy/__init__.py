"""The process that stands before a decode engine; rendering passes its source on, and nothing here imports it."""

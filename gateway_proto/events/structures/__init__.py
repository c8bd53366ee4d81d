"""The structures that events are made of: a module for each page of the documentation."""

"""A run -> an export folder that another program runs. One kind of export a module."""

"""Pictures made to be read, also at half their size, without colours, and printed."""

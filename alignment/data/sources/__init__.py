"""Sources of rows: declarations, data of the user's own by path or hub id, their splits and licences."""
